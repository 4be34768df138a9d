"""Test claims: orders between methods that a paper states, by paired tests on the same images.

A cell is a number on given images, while a claim is a statement on methods. The test of a claim therefore includes the
sampling error of the images besides the spread over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from math import log2

import numpy as np

from fgbench.judge.anomalies import impossible_values
from fgbench.judge.anomaly import Anomalies, ReadOutputs
from fgbench.judge.protocol_diff import hash_without, protocol_difference
from fgbench.judge.recompression import quality_of
from fgbench.judge.recomputed import depends_on_seed, hidden_deviations
from fgbench.judge.run_choice import best_runs
from fgbench.metrics.per_sample import sample_values
from fgbench.metrics.values import value_name
from fgbench.papers.printed import Claim, Paper
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Deviation, Record
from fgbench.statistics import ALPHA, LEVEL, MIN_SEEDS, PairedDifference, compare_crossed, compare_resampled, holm
from fgbench.util.errors import FgbenchError

PROFILES = ("quick", "frozen", "paper")
"""Profiles in increasing order of preference for the test of a claim."""


class ClaimState(StrEnum):
    """The outcome of the test of a claim."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class RunPair:
    """Comparison of two runs: two neighbours of a claimed order, the one claimed to be better first."""

    better: str
    """Title of the first run."""
    worse: str
    """Title of the second run."""
    difference: PairedDifference
    """Value of `better` minus value of `worse`, in percent."""
    p: float
    """Two-sided p-value of no difference, adjusted for a look after every seed if the runs use random numbers.
    `check_claims` adjusts it by Holm for all pairs of all claims."""
    seeds: tuple[int, int]
    """Number of seeds, or of random splits, of each run that the test uses."""
    too_few: tuple[str, ...] = ()
    """Recipes of the runs that use random numbers and have fewer than MIN_SEEDS seeds; with one, nothing is decided."""

    @property
    def state(self) -> ClaimState:
        """The outcome of this pair alone."""
        if self.too_few or self.p >= ALPHA:
            return ClaimState.UNDECIDED
        return ClaimState.HOLDS if self.difference.value > 0 else ClaimState.CONTRADICTED

    def __str__(self) -> str:
        low, high = self.difference.interval
        difference = f"{self.better} minus {self.worse}: {self.difference.value:+.2f} points"
        if self.too_few:
            return (
                f"{difference} ({self.seeds[0]} and {self.seeds[1]} seeds; a test needs at least {MIN_SEEDS} seeds of "
                f"{' and '.join(self.too_few)})"
            )
        return (
            f"{difference} (95 % interval {low:.2f} to {high:.2f}, p = {self.p:.2g}, {self.difference.n:,} samples, "
            f"{self.seeds[0]} and {self.seeds[1]} seeds; {self.difference.test})"
        )


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim with the outcome of its test."""

    claim: Claim
    state: ClaimState
    text: str
    """The reason of the outcome, in one sentence."""
    pairs: tuple[RunPair, ...] = ()
    """The tested pairs; empty if nothing could be tested."""
    records: tuple[Record, ...] = ()
    """The tested runs."""

    @property
    def order(self) -> ClaimState:
        """The outcome of the tests alone, even if the runs are not comparable with the paper."""
        states = [pair.state for pair in self.pairs]
        if ClaimState.CONTRADICTED in states:
            return ClaimState.CONTRADICTED
        # Every pair must be in order by its own test; this intersection-union test needs no further correction (Berger,
        # Technometrics 24:295-300, 1982).
        return ClaimState.HOLDS if states and set(states) == {ClaimState.HOLDS} else ClaimState.UNDECIDED


def check_claims(
    papers: Mapping[str, Paper],
    records: Sequence[Record],
    outputs: ReadOutputs,
    recipes: Mapping[str, Recipe],
    anomalies: Anomalies | None = None,
) -> list[ClaimResult]:
    """Return the results of all claims of all papers; the p-values are adjusted for all of them together.

    Args:
        papers: by id.
        records: all available records.
        outputs: returns the per-sample arrays of a record.
        recipes: by key; runs are compared with them.
        anomalies: run id -> result of `fgbench.judge.anomalies.find_anomalies`.
    """
    results = [_check(claim, records, outputs) for paper in papers.values() for claim in paper.claims]
    # A pair that occurs in two claims is one test.
    tested = {_test_key(pair): pair.p for result in results for pair in result.pairs if not pair.too_few}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    results = [replace(r, pairs=tuple(replace(p, p=adjusted.get(_test_key(p), 1.0)) for p in r.pairs)) for r in results]
    return [_with_outcome(result, recipes, anomalies or {}) for result in results]


def _test_key(pair: RunPair) -> tuple[object, ...]:
    return pair.better, pair.worse, pair.difference


def _check(claim: Claim, records: Sequence[Record], outputs: ReadOutputs) -> ClaimResult:
    """Return the pairs of a claim with unadjusted p-values, or the reason why there are none."""
    # The records of each method of the order.
    name = value_name(claim.metric, dict(claim.params))
    keys = [f"{recipe}@{claim.data}" for recipe in claim.order]
    plain = [record for record in records if not record.control and quality_of(record) is None]
    sides = [[record for record in plain if record.recipe == key and name in record.values] for key in keys]
    if missing := [recipe for recipe, side in zip(claim.order, sides, strict=True) if not side]:
        return ClaimResult(claim, ClaimState.NOT_RUN, f"there is no record of {', '.join(missing)}")
    # Profiles and protocols under which all methods were run.
    shared = set.intersection(*({_conditions(r, claim) for r in side} for side in sides))
    if not shared:
        same_protocol = len({hash_without(r, claim.across) for side in sides for r in side}) == 1
        protocols = "" if same_protocol else str(protocol_difference([best_runs(side) for side in sides]))
        text = (
            "the methods have no common profile"
            if same_protocol
            else f"the methods have no common protocol: {protocols}"
        )
        return ClaimResult(claim, ClaimState.NOT_COMPARABLE, text)
    # The conditions closest to the paper; no test if there are several.
    candidates = [
        [best_runs([r for r in side if _conditions(r, claim) == conditions]) for side in sides] for conditions in shared
    ]
    closest = max(map(_closeness, candidates))
    candidates = [candidate for candidate in candidates if _closeness(candidate) == closest]
    if len(candidates) > 1:
        between = protocol_difference([candidate[0] for candidate in candidates])
        text = (
            f"there are runs of {len(candidates)} protocols, and none is closer to the conditions of the paper; "
            f"the protocols differ in {between}"
        )
        return ClaimResult(claim, ClaimState.NOT_COMPARABLE, text)
    # The test of each pair of neighbours.
    (groups,) = candidates
    tested = tuple(record for group in groups for record in group)
    try:
        pairs = tuple(compare_runs(a, b, name, outputs) for a, b in pairwise(groups))
    except FgbenchError as error:
        return ClaimResult(claim, ClaimState.NOT_COMPARABLE, str(error.args[0]), records=tested)
    return ClaimResult(claim, ClaimState.UNDECIDED, "", pairs, tested)


def _conditions(record: Record, claim: Claim) -> tuple[str, str]:
    """Return what all sides of a claim must have in common: the profile and the protocol."""
    return record.profile, hash_without(record, claim.across)


def _closeness(sides: Sequence[Sequence[Record]]) -> tuple[bool, int, int]:
    """Return a sort key: real data first, then the larger profile, then the fewest deviations."""
    firsts = [side[0] for side in sides]
    changes = sum(d.changes_experiment for first in firsts for d in first.deviations)
    return not any(first.synthetic for first in firsts), PROFILES.index(firsts[0].profile), -changes


def compare_runs(a: Sequence[Record], b: Sequence[Record], name: str, outputs: ReadOutputs) -> RunPair:
    """Return the comparison of two groups of records, each of which differs only in its seed, in percent.

    Args:
        a: the group that is expected to be better.
        b: the other group.
        name: of the value.
        outputs: returns the per-sample arrays of a record.

    Raises:
        FgbenchError: the groups share no test images, or their arrays cannot be read or lack the value.
    """
    titles = a[0].title, b[0].title
    first, second = ([sample_values(outputs(record), name) for record in side] for side in (a, b))
    # The rows of both sides, grouped by their test images.
    by_images: dict[bytes, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for index, side in enumerate((first, second)):
        for images, values in side:
            by_images.setdefault(images.tobytes(), ([], []))[index].append(values)
    both = [(np.stack(x), np.stack(y)) for x, y in by_images.values() if x and y]
    if not both:
        raise FgbenchError(f"{titles[0]} and {titles[1]} were not measured on the same images")
    # One test set: images and seeds are crossed. Several: random splits of one data set. Other runs are not used.
    seeded = [depends_on_seed(side[0]) for side in (a, b)]
    if len(both) == 1:
        used = len(both[0][0]), len(both[0][1])
        fixed = not any(random and rows == 1 for random, rows in zip(seeded, used, strict=True))
        difference = compare_crossed(*both[0], fixed=fixed)
    else:
        used = len(both), len(both)
        ratio = a[0].protocol["test_images"] / a[0].protocol["train_images"]
        per_split = np.array([x.mean() - y.mean() for x, y in both])
        difference = compare_resampled(per_split, ratio, sum(x.shape[1] for x, _ in both))
    difference = difference.times(100)
    counts = [rows for random, rows in zip(seeded, used, strict=True) if random]
    too_few = tuple(
        side[0].recipe.partition("@")[0]
        for side, random, rows in zip((a, b), seeded, used, strict=True)
        if random and rows < MIN_SEEDS
    )
    p = p_over_looks(difference.p, min(counts)) if counts else difference.p
    return RunPair(*titles, difference, p, used, too_few)


def p_over_looks(p: float, seeds: int) -> float:
    """Return a two-sided p-value, adjusted for a look after every seed from the third on.

    The two means of a claim become ever more exact, so that a constant level would be crossed in the end (law of the
    iterated logarithm). The factor therefore grows with the number of doublings of the seeds; looks within a doubling
    are nearly the same look. `python -m tests.simulate claims` measures the error rate.

    Args:
        p: of one look.
        seeds: number of seeds of the side with fewer seeds.

    Example:
        >>> [round(p_over_looks(0.001, seeds), 3) for seeds in (3, 6, 12)]
        [0.005, 0.01, 0.015]
    """
    return min(1.0, p * ALPHA / (2 * LEVEL) * (1 + log2(max(seeds, MIN_SEEDS) / MIN_SEEDS)))


def _with_outcome(result: ClaimResult, recipes: Mapping[str, Recipe], anomalies: Anomalies) -> ClaimResult:
    """Return a result with the outcome and the sentence that follow from its pairs."""
    if not result.pairs:
        return result
    pairs = "; ".join(map(str, result.pairs))
    by_text = {
        f"{record.title}: {anomaly.text}": anomaly
        for record in result.records
        for anomaly in (*impossible_values(record), *anomalies.get(record.run_id, ()))
    }
    if invalid := [text for text, anomaly in by_text.items() if anomaly.invalidates_run]:
        return replace(result, state=ClaimState.NOT_COMPARABLE, text=f"the runs cannot be right: {'; '.join(invalid)}")
    uneven = _uneven_deviations(result, recipes)
    if any(record.synthetic for record in result.records):
        text = f"measured on synthetic data, where the order {_order_text(result)}: {pairs}"
        return replace(result, state=ClaimState.NOT_COMPARABLE, text=text)
    if uneven:
        text = (
            f"the methods differ from their recipes in different ways: {uneven}; "
            f"as run, the order {_order_text(result)}: {pairs}"
        )
        return replace(result, state=ClaimState.NOT_COMPARABLE, text=text)
    fields = sorted({d.field for record in result.records for d in record.deviations if d.changes_experiment})
    shared = f"; all methods differ from their recipes in {', '.join(fields)}" if fields else ""
    seeds = "".join(f"; {text}" for text, anomaly in by_text.items() if anomaly.kind == "seeds")
    return replace(result, state=result.order, text=pairs + shared + seeds)


def _order_text(result: ClaimResult) -> str:
    """Return the outcome of the tests alone as a verb."""
    texts = {ClaimState.HOLDS: "holds", ClaimState.CONTRADICTED: "is contradicted"}
    return texts.get(result.order, "is undecided")


def _uneven_deviations(result: ClaimResult, recipes: Mapping[str, Recipe]) -> str:
    """Return the deviations that change the experiment for some sides of a claim only, as text; hidden ones, too."""
    sides: dict[str, dict[tuple[str, str], Deviation]] = {}
    for record in result.records:
        side = sides.setdefault(record.recipe, {})
        hidden = hidden_deviations(record, recipes[record.recipe]) if record.recipe in recipes else []
        side |= {_effect(d): d for d in (*record.deviations, *hidden) if d.changes_experiment}
    shared = set.intersection(*(set(side) for side in sides.values()))
    fields = {recipe: sorted({side[effect].field for effect in set(side) - shared}) for recipe, side in sides.items()}
    return "; ".join(f"{recipe.partition('@')[0]} in {', '.join(names)}" for recipe, names in fields.items() if names)


def _effect(deviation: Deviation) -> tuple[str, str]:
    """Return a key that is equal for deviations with equal effect: another weight file counts once for all streams."""
    kind = "weights" if deviation.field.startswith("weights.") else deviation.field
    run = str(deviation.run)
    return kind, run.partition(" for ")[0] if kind == "weights" else run

"""Orders between methods that a paper states, tested sample by sample on the same images, apart from the numbers.

A cell is a number on given images; a claim is a sentence on methods. So here the images count as drawn from more of
their kind, and a difference has to stand out from the error of drawing them, besides the spread over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

import numpy as np

from fgbench.judge.anomalies import Anomalies, ReadOutputs, impossible_values
from fgbench.judge.protocol_diff import hash_without, protocol_difference
from fgbench.judge.verdict import best_runs
from fgbench.metrics.per_sample import sample_values
from fgbench.metrics.values import value_name
from fgbench.papers.printed import Claim, Paper
from fgbench.papers.recipes import Recipe
from fgbench.records.deviations import unlisted
from fgbench.records.record import Deviation, Record
from fgbench.statistics import ALPHA, PairedDifference, compare_crossed, compare_resampled, holm
from fgbench.util.errors import FgbenchError

PROFILES = ("quick", "frozen", "paper")
"""From the least to the most that a claim is better checked on."""


class ClaimState(StrEnum):
    """What is said of a claim."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class RunPair:
    """Two neighbours of a claimed order, the one claimed to be better first."""

    better: str
    """Its title."""
    worse: str
    """The other's."""
    difference: PairedDifference
    """In percent, of the better less the worse."""
    p: float
    """Of no difference, adjusted by Holm for all the pairs that are tested with it."""
    seeds: tuple[int, int]
    """How many of each."""

    @property
    def state(self) -> ClaimState:
        """What this pair alone says."""
        if self.p >= ALPHA:
            return ClaimState.UNDECIDED
        return ClaimState.HOLDS if self.difference.value > 0 else ClaimState.CONTRADICTED

    def __str__(self) -> str:
        low, high = self.difference.interval
        return (
            f"{self.better} less {self.worse}: {self.difference.value:+.2f} points "
            f"(95 % interval {low:.2f} to {high:.2f}, p = {self.p:.2g}, {self.difference.n:,} samples, "
            f"{self.seeds[0]} and {self.seeds[1]} seeds; {self.difference.test})"
        )


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """An order that a paper states, beside what was measured."""

    claim: Claim
    state: ClaimState
    text: str
    """Why, in a sentence."""
    pairs: tuple[RunPair, ...] = ()
    """The comparisons it rests on, where there are any."""
    records: tuple[Record, ...] = ()

    @property
    def order(self) -> ClaimState:
        """What the tests say of the order itself, whether or not the runs answer the paper's claim."""
        states = [pair.state for pair in self.pairs]
        if ClaimState.CONTRADICTED in states:
            return ClaimState.CONTRADICTED
        # All neighbours have to be in order, each by a test of its own: no further correction is due for that (Berger,
        # Technometrics 24:295-300, 1982).
        return ClaimState.HOLDS if states and set(states) == {ClaimState.HOLDS} else ClaimState.UNDECIDED


def check_claims(
    papers: Mapping[str, Paper],
    records: Sequence[Record],
    outputs: ReadOutputs,
    recipes: Mapping[str, Recipe],
    anomalies: Anomalies | None = None,
) -> list[ClaimResult]:
    """Every claim of every paper; p-values are adjusted for all of them together.

    Args:
        papers: by id.
        records: every record at hand.
        outputs: gives their per-sample arrays.
        recipes: by key, to know what runs differ from them in.
        anomalies: run id -> what `fgbench.judge.anomalies.find_anomalies` found.
    """
    results = [_check(claim, records, outputs) for paper in papers.values() for claim in paper.claims]
    # A comparison that two papers claim is one test.
    tested = {_test(pair): pair.p for result in results for pair in result.pairs}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    results = [replace(r, pairs=tuple(replace(p, p=adjusted[_test(p)]) for p in r.pairs)) for r in results]
    return [_told(result, recipes, anomalies or {}) for result in results]


def _test(pair: RunPair) -> tuple[object, ...]:
    return pair.better, pair.worse, pair.difference


def _check(claim: Claim, records: Sequence[Record], outputs: ReadOutputs) -> ClaimResult:
    """The comparisons of a claim with unadjusted p-values, or why there are none."""
    name = value_name(claim.metric, dict(claim.params))
    keys = [f"{recipe}@{claim.data}" for recipe in claim.order]
    sides = [[r for r in records if r.recipe == key and name in r.values and not r.control] for key in keys]
    if lacking := [recipe for recipe, side in zip(claim.order, sides, strict=True) if not side]:
        return ClaimResult(claim, ClaimState.NOT_RUN, f"no record of {', '.join(lacking)}")
    shared = set.intersection(*({_conditions(r, claim) for r in side} for side in sides))
    if not shared:
        profiles = len({hash_without(r, claim.across) for side in sides for r in side}) == 1
        why = "profile" if profiles else f"protocol: {protocol_difference([best_runs(side) for side in sides])}"
        return ClaimResult(claim, ClaimState.NOT_COMPARABLE, f"its sides do not share a {why}")
    ways = [[best_runs([r for r in side if _conditions(r, claim) == each]) for side in sides] for each in shared]
    nearest = max(map(_nearness, ways))
    ways = [way for way in ways if _nearness(way) == nearest]
    if len(ways) > 1:
        between = protocol_difference([way[0] for way in ways])
        why = f"it was run under {len(ways)} protocols, and nothing says which is meant; they differ in {between}"
        return ClaimResult(claim, ClaimState.NOT_COMPARABLE, why)
    (groups,) = ways
    everything = tuple(record for group in groups for record in group)
    try:
        pairs = tuple(compare_runs(a, b, name, outputs) for a, b in pairwise(groups))
    except FgbenchError as error:
        return ClaimResult(claim, ClaimState.NOT_COMPARABLE, str(error.args[0]), records=everything)
    return ClaimResult(claim, ClaimState.UNDECIDED, "", pairs, everything)


def _conditions(record: Record, claim: Claim) -> tuple[str, str]:
    """What all sides have to share."""
    return record.profile, hash_without(record, claim.across)


def _nearness(way: Sequence[Sequence[Record]]) -> tuple[bool, int, int]:
    """How near the sides of a claim come to what the paper did: the more telling the greater."""
    firsts = [side[0] for side in way]
    changes = sum(d.changes_experiment for first in firsts for d in first.deviations)
    return not any(first.synthetic for first in firsts), PROFILES.index(firsts[0].profile), -changes


def compare_runs(a: Sequence[Record], b: Sequence[Record], name: str, outputs: ReadOutputs) -> RunPair:
    """The comparison of two groups of records that differ in their seed alone, in percent.

    Args:
        a: the one expected to be better.
        b: the other.
        name: of the value.
        outputs: gives their per-sample arrays.

    Raises:
        FgbenchError: they share no test images, or their arrays cannot be read or do not tell.
    """
    titles = a[0].title, b[0].title
    first, second = ([sample_values(outputs(record), name) for record in side] for side in (a, b))
    fixed = not any(side[0].seeded for side in (a, b) if len(side) == 1)
    by_images: dict[bytes, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for place, side in enumerate((first, second)):
        for images, values in side:
            by_images.setdefault(images.tobytes(), ([], []))[place].append(values)
    both = [(np.stack(x), np.stack(y)) for x, y in by_images.values() if x and y]
    if not both:
        raise FgbenchError(f"{titles[0]} and {titles[1]} were not measured on the same images")
    if len(both) == 1:
        found = compare_crossed(*both[0], fixed=fixed)
    else:
        ratio = a[0].protocol["test_images"] / a[0].protocol["train_images"]
        each = np.array([x.mean() - y.mean() for x, y in both])
        found = compare_resampled(each, ratio, sum(x.shape[1] for x, _ in both))
    found = found.times(100)
    return RunPair(*titles, found, found.p, (len(a), len(b)))


def _told(result: ClaimResult, recipes: Mapping[str, Recipe], anomalies: Anomalies) -> ClaimResult:
    """A result with its state and sentence, from its pairs."""
    if not result.pairs:
        return result
    told = "; ".join(map(str, result.pairs))
    odd = {
        f"{r.title}: {a.text}": a for r in result.records for a in (*impossible_values(r), *anomalies.get(r.run_id, ()))
    }
    if bad := [text for text, anomaly in odd.items() if anomaly.invalidates_run]:
        return replace(result, state=ClaimState.NOT_COMPARABLE, text=f"the runs cannot be right: {'; '.join(bad)}")
    uneven = _uneven(result, recipes)
    if any(record.synthetic for record in result.records):
        return replace(
            result, state=ClaimState.NOT_COMPARABLE, text=f"on synthetic data, where it is {_in_words(result)}: {told}"
        )
    if uneven:
        text = f"not all sides differ from their recipes alike: {uneven}; as run it is {_in_words(result)}: {told}"
        return replace(result, state=ClaimState.NOT_COMPARABLE, text=text)
    both = sorted({d.field for record in result.records for d in record.deviations if d.changes_experiment})
    shared = f"; all sides differ from their recipes in {', '.join(both)}" if both else ""
    return replace(result, state=result.order, text=told + shared)


def _in_words(result: ClaimResult) -> str:
    return {ClaimState.HOLDS: "in order", ClaimState.CONTRADICTED: "contradicted"}.get(result.order, "undecided")


def _uneven(result: ClaimResult, recipes: Mapping[str, Recipe]) -> str:
    """Deviations that change the experiment on some sides of a claim and not alike on all, in words, listed or not."""
    sides: dict[str, dict[tuple[str, str], Deviation]] = {}
    for record in result.records:
        own = sides.setdefault(record.recipe, {})
        hidden = unlisted(record, recipes[record.recipe]) if record.recipe in recipes else []
        own |= {_what(d): d for d in (*record.deviations, *hidden) if d.changes_experiment}
    alike = set.intersection(*(set(own) for own in sides.values()))
    fields = {recipe: sorted({own[what].field for what in set(own) - alike}) for recipe, own in sides.items()}
    return "; ".join(f"{recipe.partition('@')[0]} in {', '.join(names)}" for recipe, names in fields.items() if names)


def _what(deviation: Deviation) -> tuple[str, str]:
    """Equal for deviations that do the same to two sides: another weight file does, for whichever stream."""
    kind = "weights" if deviation.field.startswith("weights.") else deviation.field
    run = str(deviation.run)
    return kind, run.partition(" for ")[0] if kind == "weights" else run

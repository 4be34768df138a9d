"""Test claims: orders between methods that a paper states, by paired tests on the same images.

A cell is a number on given images, while a claim is a statement on methods. The test of a claim therefore includes the
sampling error of the images besides the spread over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from fgbench.judge.anomalies import impossible_values
from fgbench.judge.anomaly import Anomalies, ReadOutputs
from fgbench.judge.equal_settings import with_equal_runs
from fgbench.judge.protocol_diff import hash_without, protocol_difference
from fgbench.judge.recomputed import hidden_deviations
from fgbench.judge.run_choice import best_runs
from fgbench.judge.run_pairs import ClaimState, RunPair, compare_runs
from fgbench.metrics.values import value_name
from fgbench.papers.printed import Claim, Paper
from fgbench.papers.recipes import Recipe
from fgbench.records.recompression import quality_of
from fgbench.records.record import Deviation, Record
from fgbench.statistics import holm
from fgbench.util.errors import FgbenchError, Obstacle

PROFILES = ("quick", "frozen", "paper")
"""Profiles in increasing order of preference for the test of a claim."""


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
    def measured(self) -> bool:
        """True if there are runs of all methods of the claim."""
        return self.state not in {ClaimState.NOT_RUN, ClaimState.BLOCKED}

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
    obstacles: Mapping[str, Obstacle] | None = None,
) -> list[ClaimResult]:
    """Return the results of all claims of all papers; the p-values are adjusted for all of them together.

    Args:
        papers: by id.
        records: all available records.
        outputs: returns the per-sample arrays of a record.
        recipes: by key; runs are compared with them.
        anomalies: run id -> result of `fgbench.judge.anomalies.find_anomalies`.
        obstacles: recipe key -> why the `paper` profile of the recipe cannot run here.
    """
    plain: dict[str, list[Record]] = {}
    for record in with_equal_runs(records, recipes):
        if not (record.control or record.own_images or record.external) and quality_of(record) is None:
            plain.setdefault(record.recipe, []).append(record)
    results = [_check(claim, plain, outputs, obstacles or {}) for paper in papers.values() for claim in paper.claims]
    # A pair that occurs in two claims is one test.
    tested = {_test_key(pair): pair.p for result in results for pair in result.pairs if not pair.too_few}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    results = [replace(r, pairs=tuple(replace(p, p=adjusted.get(_test_key(p), 1.0)) for p in r.pairs)) for r in results]
    return [_with_outcome(result, recipes, anomalies or {}) for result in results]


def _test_key(pair: RunPair) -> tuple[object, ...]:
    return pair.better, pair.worse, pair.difference


def _check(
    claim: Claim, plain: Mapping[str, Sequence[Record]], outputs: ReadOutputs, obstacles: Mapping[str, Obstacle]
) -> ClaimResult:
    """Return the pairs of a claim with unadjusted p-values, or the reason why there are none.

    Args:
        claim: the claim.
        plain: recipe key -> its runs that can answer a claim.
        outputs: returns the per-sample arrays of a record.
        obstacles: recipe key -> why the `paper` profile of the recipe cannot run here.
    """
    # The records of each method of the order.
    name = value_name(claim.metric, dict(claim.params))
    keys = [f"{recipe}@{claim.data}" for recipe in claim.order]
    sides = [[record for record in plain.get(key, ()) if record.has_value(name)] for key in keys]
    if missing := [key for key, side in zip(keys, sides, strict=True) if not side]:
        blocked = [f"{key}: {obstacles[key].reason}" for key in missing if key in obstacles]
        text = f"there is no record of {', '.join(missing)}"
        return ClaimResult(claim, ClaimState.BLOCKED if blocked else ClaimState.NOT_RUN, "; ".join([text, *blocked]))
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

"""The verdict on a cell: whether the records reproduce a printed number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from fgbench.judge.anomalies import impossible_values, too_good
from fgbench.judge.anomaly import Anomalies, Anomaly
from fgbench.judge.margin_test import Decision, decide
from fgbench.judge.protocol_diff import ProtocolDifference, protocol_difference
from fgbench.judge.recompression import quality_of
from fgbench.judge.recomputed import depends_on_seed, hidden_deviations
from fgbench.judge.seed_checks import seed_anomalies, unused_runs
from fgbench.metrics.values import value_name
from fgbench.papers.printed import Cell
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Deviation, Record, by_identity
from fgbench.statistics import Interval, mean_interval
from fgbench.util.errors import Obstacle

MEASURED = {"accuracy", "pck", "pcp", "cmc", "map"}
"""Metrics of cells that fgbench measures."""


class Outcome(StrEnum):
    """The outcome of the verdict on a cell."""

    REPRODUCED = "reproduced"
    EXCEEDS = "exceeds"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    NOT_RUN = "not run"
    BLOCKED = "blocked"
    CONTEXT = "context"
    """A published row of another group, which fgbench does not run."""


OUTCOME_AT = {
    "inside": Outcome.REPRODUCED,
    "above": Outcome.EXCEEDS,
    "below": Outcome.NOT_REPRODUCED,
    "open": Outcome.INCONCLUSIVE,
}
"""Outcome for each position of the mean relative to the margin."""
MIN_SEEDS = 3
"""Number of seeds that the command proposes if there is one seed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cell with its measured value and the outcome of their comparison."""

    cell: Cell
    outcome: Outcome
    reason: str
    """The reason of the outcome, in one sentence."""
    command: str = ""
    """Command that gets or unblocks the number."""
    records: tuple[Record, ...] = ()
    """The judged runs: several seeds of one recipe, profile and protocol; without a mean, runs of several protocols."""
    mean: float | None = None
    """Mean of the measured values, in the unit of the cell; None without runs, and if no number may be shown."""
    sampling: Interval | None = None
    """95 % interval of the mean for another test set of this size."""
    spread: Interval | None = None
    """95 % interval of the mean over seeds; None for one seed."""
    decision: Decision | None = None
    """Result of the test; None if the runs cannot be compared with the printed number."""
    protocols: ProtocolDifference | None = None
    """Difference to the protocols of other runs of the cell or column; the protocol of the number comes first."""
    anomalies: tuple[Anomaly, ...] = ()
    """Anomalies of the runs and of the mean."""

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """Deviations of the runs, one for each field."""
        by_field: dict[str, Deviation] = {}
        for record in self.records:
            for deviation in record.deviations:
                by_field.setdefault(deviation.field, deviation)
        return tuple(by_field.values())


def judge(
    cell: Cell,
    records: Sequence[Record],
    obstacles: Mapping[str, Obstacle],
    recipes: Mapping[str, Recipe],
    anomalies: Anomalies | None = None,
) -> Verdict:
    """Return the verdict on one cell, without regard to its column.

    Args:
        cell: the printed number.
        records: records of any recipes.
        obstacles: recipe key -> why the `paper` profile of the recipe cannot run here.
        recipes: all recipes, by key.
        anomalies: run id -> result of `fgbench.judge.anomalies.find_anomalies`.
    """
    # Cells that fgbench does not run.
    if cell.role == "context":
        return Verdict(cell, Outcome.CONTEXT, "a published number of another group, which fgbench does not run")
    key = recipe_key(cell)
    if not cell.recipe or key not in recipes:
        return Verdict(cell, Outcome.NOT_RUN, "this version of fgbench has no recipe for this row")
    if cell.metric not in MEASURED:
        return Verdict(cell, Outcome.NOT_RUN, f"this version of fgbench does not measure {cell.metric}")
    # Records of this cell.
    protocol, name = (tuple(cell.train), tuple(cell.test)), cell_value_name(cell)
    fitting = [r for r in records if r.recipe == key and name in r.values and _sees(r) == protocol]
    obstacle = obstacles.get(key)
    command = f"fgbench run {cell.recipe} --data {cell.data} --profile paper"
    if not fitting:
        if obstacle:
            return Verdict(cell, Outcome.BLOCKED, obstacle.reason, obstacle.command)
        return Verdict(cell, Outcome.NOT_RUN, "there is no record", command)
    command = obstacle.command if obstacle else command
    # The runs closest to the printed conditions; no number if they have several protocols.
    closest = _closest(fitting)
    if len(closest) > 1:
        between = protocol_difference(closest)
        reason = (
            f"there are runs of {len(closest)} protocols, and none is closer to the printed conditions; "
            f"the protocols differ in {between}"
        )
        together = tuple(record for group in closest for record in group)
        return Verdict(cell, Outcome.NOT_COMPARABLE, reason, command, together, protocols=between)
    # The seeds of one run.
    chosen = best_runs(closest[0])
    others = _by_protocol(r for r in fitting if r.protocol_hash != chosen[0].protocol_hash)
    verdict = Verdict(
        cell,
        Outcome.NOT_COMPARABLE,
        "",
        command,
        chosen,
        mean=float(np.mean(_values(cell, chosen))),
        sampling=sampling_interval(chosen, name),
        spread=mean_interval(_values(cell, chosen)) if len(chosen) > 1 else None,
        protocols=protocol_difference([chosen, *others]) if others else None,
        anomalies=(*_anomalies(cell, chosen, anomalies or {}), *unused_runs(chosen, closest[0])),
    )
    return _with_outcome(verdict, recipes[key], obstacle)


def cell_value_name(cell: Cell) -> str:
    """Return the name of the value of a cell in a record."""
    return value_name(cell.metric, dict(cell.params))


def recipe_key(cell: Cell) -> str:
    """Return the key of the recipe of a cell."""
    return f"{cell.recipe}@{cell.data}"


def _sees(record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(record.protocol["train_sees"]), tuple(record.protocol["test_sees"])


def closeness(record: Record) -> tuple[bool, bool, bool, bool, int]:
    """Return a sort key: how close a run is to the printed conditions.

    Comparable runs first, then no controls, then real data, then images that were not compressed once more to measure
    the effect, then the fewest deviations that change the experiment.
    """
    return (
        record.comparable,
        not record.control,
        not record.synthetic,
        quality_of(record) is None,
        -sum(d.changes_experiment for d in record.deviations),
    )


def _by_protocol(records: Iterable[Record]) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.protocol_hash, []).append(record)
    return list(groups.values())


def _closest(records: Sequence[Record]) -> list[list[Record]]:
    """Return the runs closest to the printed conditions, one group for each protocol."""
    nearest = max(map(closeness, records))
    return _by_protocol(record for record in records if closeness(record) == nearest)


def run_sort_key(group: Sequence[Record]) -> tuple[tuple[bool, bool, bool, bool, int], int, str]:
    """Return a sort key of the seeds of a run: closest to the printed conditions, then most seeds, then latest."""
    return closeness(group[0]), len(group), max(str(record.provenance.get("finished") or "") for record in group)


def best_runs(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the group of records that differ only in their seed and that is last by `run_sort_key`."""
    best: Sequence[Record] = max(by_identity(records), key=run_sort_key)
    return tuple(best)


def _values(cell: Cell, records: Sequence[Record]) -> list[float]:
    return [record.values[cell_value_name(cell)].value for record in records]


def _anomalies(cell: Cell, records: Sequence[Record], known: Anomalies) -> tuple[Anomaly, ...]:
    by_text = {a.text: a for record in records for a in (*impossible_values(record), *known.get(record.run_id, ()))}
    by_text |= {anomaly.text: anomaly for _, anomaly in seed_anomalies(records)}
    if records[0].comparable and (anomaly := too_good(float(np.mean(_values(cell, records))), cell)):
        by_text[anomaly.text] = anomaly
    return tuple(by_text.values())


def _with_outcome(verdict: Verdict, recipe: Recipe, obstacle: Obstacle | None) -> Verdict:
    """Return the verdict with its outcome; all its runs differ only in their seed."""
    cell, first = verdict.cell, verdict.records[0]
    # Runs that cannot be compared with the printed number.
    if invalid := [anomaly.text for anomaly in verdict.anomalies if anomaly.invalidates_run]:
        return replace(verdict, reason=f"the runs cannot be right: {'; '.join(invalid)}")
    if first.synthetic:
        reason = "measured on synthetic data, which cannot be compared with a printed number"
        if obstacle:
            reason += f"; a run on the real data is blocked: {obstacle.reason}"
        return replace(verdict, reason=reason)
    if not first.comparable:
        fields = ", ".join(d.field for d in verdict.deviations if d.changes_experiment)
        return replace(verdict, reason=f"the run is another experiment: it differs from the recipe in {fields}")
    if hidden := {d.field: d for record in verdict.records for d in hidden_deviations(record, recipe)}:
        fields = "; ".join(f"{d.field}: {d.recipe} in the recipe, {d.run} in the run" for d in hidden.values())
        return replace(verdict, reason=f"the run differs from the recipe, and its record does not list it: {fields}")
    # The test against the margin.
    value = first.values[cell_value_name(cell)]
    decision = decide(
        cell,
        _values(cell, verdict.records),
        deterministic=not depends_on_seed(first),
        n=value.n,
        sampling=None if value.low is None or value.high is None else Interval(value.low, value.high),
    )
    command = _deciding_command(cell, decision) if decision.position == "open" else ""
    changed_data = [f"{d.field} is {d.run} instead of {d.recipe}" for d in verdict.deviations if d.origin == "data"]
    doubt = f"{'; '.join(changed_data)}, with an unknown effect on the number" if changed_data else ""
    reason = "; ".join(filter(None, (decision.reason, doubt)))
    return replace(verdict, outcome=OUTCOME_AT[decision.position], reason=reason, command=command, decision=decision)


def _deciding_command(cell: Cell, decision: Decision) -> str:
    """Return the command that runs enough seeds to decide; empty if no number of seeds would."""
    seeds = decision.seeds_needed if decision.interval else MIN_SEEDS
    return f"fgbench run {cell.recipe} --data {cell.data} --profile paper --seeds {seeds}" if seeds else ""


def sampling_interval(records: Sequence[Record], name: str) -> Interval | None:
    """Return the sampling interval of the mean over seeds; None if the value has no interval.

    It is the interval of the first run, moved to the mean: all seeds have the same number of test images.
    """
    values = [record.values[name] for record in records]
    low, high = values[0].low, values[0].high
    if low is None or high is None:
        return None
    shift = float(np.mean([value.value for value in values])) - values[0].value
    return Interval(low + shift, high + shift)

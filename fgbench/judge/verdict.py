"""The verdict on a cell: whether the records reproduce a printed number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from fgbench.judge.anomalies import impossible_values, too_good
from fgbench.judge.anomaly import Anomalies, Anomaly
from fgbench.judge.change_words import changes_in_words
from fgbench.judge.margin_test import Decision, by_split, decide, points
from fgbench.judge.protocol_diff import ProtocolDifference, protocol_difference
from fgbench.judge.recomputed import depends_on_seed, hidden_deviations
from fgbench.judge.run_choice import best_runs, by_protocol, closest_runs
from fgbench.judge.seed_checks import outlying_seeds, seed_anomalies, unused_runs
from fgbench.judge.sensitivity import Bounds, DataBound, bound_for
from fgbench.metrics.values import value_name
from fgbench.papers.printed import Cell
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Deviation, Record
from fgbench.speed.bench_rows import FramesRow
from fgbench.statistics import ALPHA, MIN_SEEDS, Interval, mean_interval
from fgbench.util.errors import Obstacle

MEASURED = {"accuracy", "class_map", "pck", "pcp", "cmc", "map"}
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
    data_effect: str = ""
    """The measured effect of the deviation of the data, with the runs that measured it; empty without a measurement."""
    protocols: ProtocolDifference | None = None
    """Difference to the protocols of other runs of the cell or column; the protocol of the number comes first."""
    anomalies: tuple[Anomaly, ...] = ()
    """Anomalies of the runs and of the mean."""
    adjusted_p: float | None = None
    """p-value of the test, adjusted for all tested cells together (`fgbench.judge.adjustment`); None without a test."""
    frames: FramesRow | None = None
    """The measurement behind a number of frames per second."""
    external: tuple["Verdict", ...] = ()
    """Verdicts on results from outside fgbench for the same cell, which are shown beside that of its own runs."""

    @property
    def is_measured(self) -> bool:
        """True if there are runs of the cell, or a measurement of its speed."""
        return bool(self.records or self.frames)

    @property
    def adjusted(self) -> Outcome:
        """The outcome with the p-value that is adjusted for all tested cells together."""
        decided = self.outcome in OUTCOME_AT.values() and self.outcome != Outcome.INCONCLUSIVE
        weak = self.adjusted_p is not None and self.adjusted_p >= ALPHA
        return Outcome.INCONCLUSIVE if decided and weak else self.outcome

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
    bounds: Bounds | None = None,
) -> Verdict:
    """Return the verdict on one cell, without regard to its column.

    Args:
        cell: the printed number.
        records: records of any recipes.
        obstacles: recipe key -> why the `paper` profile of the recipe cannot run here.
        recipes: all recipes, by key.
        anomalies: run id -> result of `fgbench.judge.anomalies.find_anomalies`.
        bounds: result of `fgbench.judge.sensitivity.find_bounds`.
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
    official = [r for r in records if r.recipe == key and not r.own_images]
    fitting = [r for r in official if r.has_value(name) and _sees(r) == protocol]
    obstacle = obstacles.get(key)
    command = f"fgbench run {cell.recipe} --data {cell.data} --profile paper"
    if not fitting:
        if obstacle:
            return Verdict(cell, Outcome.BLOCKED, obstacle.reason, obstacle.command)
        return Verdict(cell, Outcome.NOT_RUN, "there is no record", command)
    command = obstacle.command if obstacle else command
    # The runs closest to the printed conditions; no number if they have several protocols.
    closest = closest_runs(fitting)
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
    values = split_means(chosen, name)
    others = by_protocol(r for r in fitting if r.protocol_hash != chosen[0].protocol_hash)
    verdict = Verdict(
        cell,
        Outcome.NOT_COMPARABLE,
        "",
        command,
        chosen,
        mean=float(np.mean(values)),
        sampling=sampling_interval(chosen, name),
        spread=mean_interval(values) if len(values) > 1 else None,
        protocols=protocol_difference([chosen, *others]) if others else None,
        anomalies=(*_anomalies(cell, chosen, anomalies or {}), *unused_runs(chosen, closest[0])),
    )
    return _with_outcome(verdict, recipes[key], obstacle, bounds or {})


def cell_value_name(cell: Cell) -> str:
    """Return the name of the value of a cell in a record."""
    return value_name(cell.metric, dict(cell.params))


def recipe_key(cell: Cell) -> str:
    """Return the key of the recipe of a cell."""
    return f"{cell.recipe}@{cell.data}"


def _sees(record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(record.protocol["train_sees"]), tuple(record.protocol["test_sees"])


def _values(cell: Cell, records: Sequence[Record]) -> list[float]:
    return [record.values[cell_value_name(cell)].value for record in records]


def _anomalies(cell: Cell, records: Sequence[Record], known: Anomalies) -> tuple[Anomaly, ...]:
    by_text = {a.text: a for record in records for a in (*impossible_values(record), *known.get(record.run_id, ()))}
    by_text |= {anomaly.text: anomaly for _, anomaly in seed_anomalies(records)}
    by_seed = dict(zip((record.seed for record in records), _values(cell, records), strict=True))
    by_text |= {a.text: a for a in outlying_seeds(by_seed, cell.margin, points(cell.unit))}
    if records[0].comparable and (anomaly := too_good(float(np.mean(_values(cell, records))), cell)):
        by_text[anomaly.text] = anomaly
    return tuple(by_text.values())


def _with_outcome(verdict: Verdict, recipe: Recipe, obstacle: Obstacle | None, bounds: Bounds) -> Verdict:
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
        changes = "; ".join(changes_in_words(verdict.deviations, recipe))
        return replace(verdict, reason=f"the run is another experiment than the recipe: {changes}")
    if hidden := {d.field: d for record in verdict.records for d in hidden_deviations(record, recipe)}:
        fields = "; ".join(f"{d.field}: {d.recipe} in the recipe, {d.run} in the run" for d in hidden.values())
        return replace(verdict, reason=f"the run differs from the recipe, and its record does not list it: {fields}")
    # The test against the margin.
    changed_data = [f"{d.field} is {d.run} instead of {d.recipe}" for d in verdict.deviations if d.changes_data]
    bound = bound_for(verdict.records, cell_value_name(cell), bounds) if changed_data else None
    decision = decide_runs(cell, verdict.records, bound)
    outcome, command = OUTCOME_AT[decision.position], ""
    if decision.position == "open" and depends_on_seed(first):
        command = _deciding_command(cell, decision)
    reason = decision.reason
    if bound:
        reason += (
            f"; {'; '.join(changed_data)}, which changes the number by at most {bound.bound:.2f} {points(cell.unit)}, "
            f"measured by {len(bound.run_ids)} runs"
        )
    elif changed_data:
        outcome, command = Outcome.INCONCLUSIVE, _measuring_command(cell, first)
        decision = replace(decision, other_images="", best_of="")
        reason += f"; {'; '.join(changed_data)}, with an unknown effect on the number"
    effect = bound.text if bound else ""
    return replace(verdict, outcome=outcome, reason=reason, command=command, decision=decision, data_effect=effect)


def decide_runs(cell: Cell, records: Sequence[Record], bound: DataBound | None) -> Decision:
    """Return the test of the runs of a cell, which differ only in their seed.

    Args:
        cell: the printed number.
        records: the runs.
        bound: bound of the effect of the changed data on the value; None if the data count as the official ones.
    """
    value = records[0].values[cell_value_name(cell)]
    return decide(
        cell,
        _values(cell, records),
        deterministic=not depends_on_seed(records[0]),
        n=value.n,
        sampling=None if value.low is None or value.high is None else Interval(value.low, value.high),
        splits=[record.split for record in records],
        most_splits=most_splits(records[0]),
        data_bound=bound.bound if bound else 0.0,
    )


def _deciding_command(cell: Cell, decision: Decision) -> str:
    """Return the command that runs enough seeds to decide; empty if no number of seeds would."""
    seeds = decision.seeds_needed if decision.difference else MIN_SEEDS
    return f"fgbench run {cell.recipe} --data {cell.data} --profile paper --seeds {seeds}" if seeds else ""


def _measuring_command(cell: Cell, record: Record) -> str:
    """Return the command that measures the effect of the recompression of the images."""
    return f"fgbench sensitivity {cell.recipe} --data {cell.data} --profile {record.profile} --recompress 75,50,30"


def most_splits(record: Record) -> int | None:
    """Return the number of splits of the data set of a run; None if it has one."""
    ranking = record.settings.get("ranking")
    number = ranking.get("splits") if isinstance(ranking, dict) else None
    return number if isinstance(number, int) and number > 1 else None


def split_means(records: Sequence[Record], name: str) -> list[float]:
    """Return the values of a mean: one for each seed, or one for each split if the data set has several.

    Args:
        records: runs that differ only in their seed.
        name: of the value.
    """
    groups = by_split([record.values[name].value for record in records], [record.split for record in records])
    return [float(np.mean(group)) for group in groups]


def sampling_interval(records: Sequence[Record], name: str) -> Interval | None:
    """Return the sampling interval of the mean over seeds; None if the value has no interval.

    It is the interval of the first run, moved to the mean: all seeds have the same number of test images.
    """
    values = [record.values[name] for record in records]
    low, high = values[0].low, values[0].high
    if low is None or high is None:
        return None
    shift = float(np.mean(split_means(records, name))) - values[0].value
    return Interval(low + shift, high + shift)

"""Does a printed number hold? Cells and records in, verdicts out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from fgbench.judge.anomalies import Anomalies, Anomaly, impossible_values, too_good
from fgbench.judge.margin_test import Decision, decide
from fgbench.judge.protocol_diff import ProtocolDifference, protocol_difference
from fgbench.metrics.values import value_name
from fgbench.papers.printed import Cell
from fgbench.papers.recipes import Recipe
from fgbench.records.deviations import unlisted
from fgbench.records.record import Deviation, Record, by_identity
from fgbench.statistics import Interval, mean_interval
from fgbench.util.errors import Obstacle

MEASURED = {"accuracy", "pck", "pcp", "cmc", "map"}
"""Metrics of cells that records have values of."""


class Outcome(StrEnum):
    """What is said of a cell."""

    REPRODUCED = "reproduced"
    EXCEEDS = "exceeds"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    NOT_RUN = "not run"
    BLOCKED = "blocked"
    CONTEXT = "context"
    """Another group's published row, which is not ours to run."""


PLACES = {
    "inside": Outcome.REPRODUCED,
    "above": Outcome.EXCEEDS,
    "below": Outcome.NOT_REPRODUCED,
    "open": Outcome.INCONCLUSIVE,
}
AT_LEAST = 3
"""Seeds to run where there is one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cell beside what was measured."""

    cell: Cell
    outcome: Outcome
    reason: str
    """Why, in one sentence."""
    command: str = ""
    """What to type to get or unblock the number."""
    records: tuple[Record, ...] = ()
    """The runs it stands on: one recipe, profile and protocol, several seeds; of all protocols where it has no mean."""
    mean: float | None = None
    """Mean of the measured values, in the cell's unit; None without runs, and where no number may be shown."""
    sampling: Interval | None = None
    """95 % interval of the mean for another test set of this size."""
    spread: Interval | None = None
    """95 % interval of the mean over further seeds; None for one seed."""
    decision: Decision | None = None
    """The test, where the runs answer the printed number."""
    protocols: ProtocolDifference | None = None
    """Protocols of runs that do not share this number or column, field by field; that of the number comes first."""
    anomalies: tuple[Anomaly, ...] = ()
    """What is odd about the runs or the number."""

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """Every deviation of the runs, once."""
        found: dict[str, Deviation] = {}
        for record in self.records:
            for deviation in record.deviations:
                found.setdefault(deviation.field, deviation)
        return tuple(found.values())


def judge(
    cell: Cell,
    records: Sequence[Record],
    obstacles: Mapping[str, Obstacle],
    recipes: Mapping[str, Recipe],
    anomalies: Anomalies | None = None,
) -> Verdict:
    """The verdict on one cell, by itself; arguments as `fgbench.judge.columns.judge_papers`."""
    if cell.role == "context":
        return Verdict(cell, Outcome.CONTEXT, "another group's published number; fgbench does not run it")
    key = recipe_key(cell)
    if not cell.recipe or key not in recipes:
        return Verdict(cell, Outcome.NOT_RUN, "this version of fgbench has no recipe")
    if cell.metric not in MEASURED:
        return Verdict(cell, Outcome.NOT_RUN, f"this version of fgbench does not measure {cell.metric} for a cell")
    protocol, name = (tuple(cell.train), tuple(cell.test)), cell_value_name(cell)
    fitting = [r for r in records if r.recipe == key and name in r.values and _sees(r) == protocol]
    obstacle = obstacles.get(key)
    command = f"fgbench run {cell.recipe} --data {cell.data} --profile paper"
    if not fitting:
        if obstacle:
            return Verdict(cell, Outcome.BLOCKED, obstacle.reason, obstacle.command)
        return Verdict(cell, Outcome.NOT_RUN, "no record of it", command)
    command = obstacle.command if obstacle else command
    closest = _closest(fitting)
    if len(closest) > 1:
        between = protocol_difference(closest)
        reason = (
            f"runs of {len(closest)} protocols answer to it, and nothing says which is meant; they differ in {between}"
        )
        together = tuple(record for group in closest for record in group)
        return Verdict(cell, Outcome.NOT_COMPARABLE, reason, command, together, protocols=between)
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
        anomalies=_anomalies(cell, chosen, anomalies or {}),
    )
    return _weigh(verdict, recipes[key], obstacle)


def cell_value_name(cell: Cell) -> str:
    """The name of a cell's value in a record."""
    return value_name(cell.metric, dict(cell.params))


def recipe_key(cell: Cell) -> str:
    """The key of the recipe that gets a cell."""
    return f"{cell.recipe}@{cell.data}"


def _sees(record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(record.protocol["train_sees"]), tuple(record.protocol["test_sees"])


def closeness(record: Record) -> tuple[bool, bool, bool, int]:
    """How near a run comes to the printed number's conditions."""
    return (
        record.comparable,
        not record.control,
        not record.synthetic,
        -sum(d.changes_experiment for d in record.deviations),
    )


def _by_protocol(records: Iterable[Record]) -> list[list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.protocol_hash, []).append(record)
    return list(found.values())


def _closest(records: Sequence[Record]) -> list[list[Record]]:
    """The runs that come closest to the printed number's conditions, by protocol."""
    nearest = max(map(closeness, records))
    return _by_protocol(record for record in records if closeness(record) == nearest)


def run_sort_key(group: Sequence[Record]) -> tuple[tuple[bool, bool, bool, int], int, str]:
    """Of seeds of a run: the closer to the printed number's conditions the greater, then the more, then the later."""
    return closeness(group[0]), len(group), max(str(record.provenance.get("finished") or "") for record in group)


def best_runs(records: Sequence[Record]) -> tuple[Record, ...]:
    """Those of one identity, of the greatest run_sort_key."""
    best: Sequence[Record] = max(by_identity(records), key=run_sort_key)
    return tuple(best)


def _values(cell: Cell, records: Sequence[Record]) -> list[float]:
    return [record.values[cell_value_name(cell)].value for record in records]


def _anomalies(cell: Cell, records: Sequence[Record], known: Anomalies) -> tuple[Anomaly, ...]:
    found = {a.text: a for record in records for a in (*impossible_values(record), *known.get(record.run_id, ()))}
    if records[0].comparable and (odd := too_good(float(np.mean(_values(cell, records))), cell)):
        found[odd.text] = odd
    return tuple(found.values())


def _weigh(verdict: Verdict, recipe: Recipe, obstacle: Obstacle | None) -> Verdict:
    """The outcome for runs of one identity."""
    cell, first = verdict.cell, verdict.records[0]
    if bad := [anomaly.text for anomaly in verdict.anomalies if anomaly.invalidates_run]:
        return replace(verdict, reason=f"the runs cannot be right: {'; '.join(bad)}")
    if first.synthetic:
        reason = "measured on synthetic data, which answers no printed number"
        if obstacle:
            reason += f"; the real run is blocked: {obstacle.reason}"
        return replace(verdict, reason=reason)
    if not first.comparable:
        fields = ", ".join(d.field for d in verdict.deviations if d.changes_experiment)
        return replace(verdict, reason=f"the run is another experiment: it differs from the recipe in {fields}")
    if secret := {d.field: d for record in verdict.records for d in unlisted(record, recipe)}:
        told = "; ".join(f"{d.field}: the recipe says {d.recipe}, the run {d.run}" for d in secret.values())
        return replace(verdict, reason=f"the run differs from the recipe, and its record does not list it: {told}")
    value = first.values[cell_value_name(cell)]
    decision = decide(
        cell,
        _values(cell, verdict.records),
        deterministic=not first.seeded,
        n=value.n,
        sampling=None if value.low is None or value.high is None else Interval(value.low, value.high),
    )
    command = _more(cell, decision) if decision.position == "open" else ""
    doubts = [f"{d.field} are not {d.recipe} but {d.run}" for d in verdict.deviations if d.origin == "data"]
    told = f"{'; '.join(doubts)}: what that does to the number is not known" if doubts else ""
    reason = "; ".join(filter(None, (decision.reason, told)))
    return replace(verdict, outcome=PLACES[decision.position], reason=reason, command=command, decision=decision)


def _more(cell: Cell, decision: Decision) -> str:
    """The command that would decide."""
    seeds = decision.seeds_needed if decision.interval else AT_LEAST
    return f"fgbench run {cell.recipe} --data {cell.data} --profile paper --seeds {seeds}" if seeds else ""


def sampling_interval(records: Sequence[Record], name: str) -> Interval | None:
    """The first run's interval, moved to the mean: every seed has the same test images, or as many."""
    values = [record.values[name] for record in records]
    low, high = values[0].low, values[0].high
    if low is None or high is None:
        return None
    shift = float(np.mean([value.value for value in values])) - values[0].value
    return Interval(low + shift, high + shift)

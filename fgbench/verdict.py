"""Does a printed number hold? Cells and records in, verdicts out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from fgbench.measures import value_name
from fgbench.papers import Cell
from fgbench.records import Deviation, Record, by_identity
from fgbench.statistics import Interval, Spread, mean_interval, tost

ALPHA = 0.05
"""Level of every test behind a verdict."""


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


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a recipe cannot run here."""

    reason: str
    """What is missing, with `data`, `weights` or `hardware` first."""
    command: str
    """What would unblock it."""


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
    """The runs it stands on: one recipe, profile and protocol, several seeds."""
    mean: float | None = None
    """Mean of the measured values, in the cell's unit."""
    sampling: Interval | None = None
    """95 % interval of the mean for another test set of this size."""
    spread: Interval | None = None
    """95 % interval of the mean over further seeds; None for one seed."""

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """Every deviation of the runs, once."""
        found: dict[str, Deviation] = {}
        for record in self.records:
            for deviation in record.deviations:
                found.setdefault(deviation.field, deviation)
        return tuple(found.values())


def judge(
    cell: Cell, records: Sequence[Record], obstacles: Mapping[str, Obstacle], recipes: Mapping[str, bool]
) -> Verdict:
    """The verdict on one cell.

    Args:
        cell: the printed number.
        records: every record at hand.
        obstacles: recipe key -> why its `paper` profile cannot run here.
        recipes: key of every recipe there is -> whether it is deterministic, so that one run says all.
    """
    if cell.role == "context":
        return Verdict(cell, Outcome.CONTEXT, "another group's published number; fgbench does not run it")
    key = f"{cell.recipe}@{cell.data}"
    if not cell.recipe or key not in recipes:
        return Verdict(cell, Outcome.NOT_RUN, "this version of fgbench has no recipe")
    if cell.metric not in MEASURED:
        return Verdict(cell, Outcome.NOT_RUN, f"this version of fgbench does not measure {cell.metric} for a cell")
    protocol, name = (tuple(cell.train), tuple(cell.test)), name_of(cell)
    fitting = [r for r in records if r.recipe == key and name in r.values and _sees(r) == protocol]
    if not fitting:
        command = f"fgbench run {cell.recipe} --data {cell.data} --profile paper"
        if obstacle := obstacles.get(key):
            return Verdict(cell, Outcome.BLOCKED, obstacle.reason, obstacle.command)
        return Verdict(cell, Outcome.NOT_RUN, "no record of it", command)
    return _weigh(cell, _best(fitting), recipes[key], obstacles.get(key))


def name_of(cell: Cell) -> str:
    """The name of a cell's value in a record."""
    return value_name(cell.metric, dict(cell.params))


def _sees(record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(record.protocol["train_sees"]), tuple(record.protocol["test_sees"])


def _best(records: Sequence[Record]) -> tuple[Record, ...]:
    """The runs of one identity that come closest to the printed number's conditions; of equals, the latest."""
    groups = by_identity(records)

    def closeness(group: Sequence[Record]) -> tuple[bool, bool, bool, int, int, str]:
        first = group[0]
        control = any(d.field == "control" for d in first.deviations)
        differences = sum(d.changes_experiment for d in first.deviations)
        latest = max(str(record.provenance.get("finished", "")) for record in group)
        return (first.comparable, not control, not first.synthetic, -differences, len(group), latest)

    best = max(groups, key=closeness)
    return tuple(best)


def _weigh(cell: Cell, records: tuple[Record, ...], deterministic: bool, obstacle: Obstacle | None) -> Verdict:
    values = [record.values[name_of(cell)].value for record in records]
    mean = float(np.mean(values))
    measured = {
        "cell": cell,
        "records": records,
        "mean": mean,
        "sampling": _sampling(cell, records),
        "spread": mean_interval(values) if len(values) > 1 else None,
    }
    command = obstacle.command if obstacle else f"fgbench run {cell.recipe} --data {cell.data} --profile paper"
    first = records[0]
    if first.synthetic:
        reason = "measured on synthetic data, which answers no printed number"
        if obstacle:
            reason += f"; the real run is blocked: {obstacle.reason}"
        return Verdict(**measured, outcome=Outcome.NOT_COMPARABLE, reason=reason, command=command)  # type: ignore[arg-type]
    if not first.comparable:
        fields = ", ".join(d.field for d in first.deviations if d.changes_experiment)
        reason = f"the run is another experiment: it differs from the recipe in {fields}"
        return Verdict(**measured, outcome=Outcome.NOT_COMPARABLE, reason=reason, command=command)  # type: ignore[arg-type]
    outcome, reason = _decide(cell, values, deterministic)
    return Verdict(**measured, outcome=outcome, reason=reason)  # type: ignore[arg-type]


def _sampling(cell: Cell, records: tuple[Record, ...]) -> Interval | None:
    """The first run's interval, moved to the mean: every seed has the same test images, or as many."""
    values = [record.values[name_of(cell)] for record in records]
    low, high = values[0].low, values[0].high
    if low is None or high is None:
        return None
    shift = float(np.mean([value.value for value in values])) - values[0].value
    return Interval(low + shift, high + shift)


def _decide(cell: Cell, values: list[float], deterministic: bool) -> tuple[Outcome, str]:
    """By the mean over seeds on the paper's own test images, against the printed value and its margin."""
    margin, difference = cell.margin, float(np.mean(values)) - cell.value
    off = f"{difference:+.2f} {cell.unit} from the printed {cell.value:g}, margin {margin:g}"
    if deterministic:
        if abs(difference) <= margin:
            return Outcome.REPRODUCED, f"{off}; no random number enters, so one run decides"
        outcome = Outcome.EXCEEDS if difference > 0 else Outcome.NOT_REPRODUCED
        return outcome, f"{off}; no random number enters, so one run decides"
    if len(values) < 2:
        return Outcome.INCONCLUSIVE, f"{off}; one seed cannot tell its spread, run at least three"
    test = tost(float(np.mean(values)), Spread.of(values), cell.value, margin)
    n = len(values)
    if test.p < ALPHA:
        return Outcome.REPRODUCED, f"{off}; equivalent over {n} seeds (TOST p = {test.p:.3f})"
    interval = mean_interval(values, 1 - 2 * ALPHA)
    if interval.low > cell.value + margin:
        return Outcome.EXCEEDS, f"{off}; above the margin over {n} seeds (90 % interval from {interval.low:.2f})"
    if interval.high < cell.value - margin:
        return Outcome.NOT_REPRODUCED, f"{off}; below the margin over {n} seeds (90 % interval to {interval.high:.2f})"
    return Outcome.INCONCLUSIVE, f"{off}; {n} seeds spread too widely to decide (TOST p = {test.p:.2f})"

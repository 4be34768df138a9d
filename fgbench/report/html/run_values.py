"""Values of a group of runs: means, ranges, and tables of values by part or rank."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite

from fgbench.judge.seed_interval import seed_interval
from fgbench.judge.verdict import split_means
from fgbench.metrics.values import headline
from fgbench.records.record import Record
from fgbench.report.formatting import measured
from fgbench.report.html.run_groups import RunGroup


@dataclass(frozen=True, slots=True)
class ValueTable:
    """Values of a run as a table."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    """Name and numbers of each row."""


def values_of(group: RunGroup, name: str) -> list[float]:
    """Return a value of each run; empty if a run lacks it or if it is not finite."""
    values = [record.values[name].value for record in group if name in record.values]
    return values if len(values) == len(group) and all(map(isfinite, values)) else []


def mean_value(group: RunGroup, name: str) -> float | None:
    """Return the mean of a value over the seeds, or over the splits of the data set; None if a run lacks it."""
    values = split_means(group, name) if all(name in record.values for record in group) else []
    return sum(values) / len(values) if values else None


def mean_and_interval(group: RunGroup, name: str) -> tuple[float, float, float] | None:
    """Return the mean of a value and the ends of its interval over seeds; the mean thrice if there is no interval.

    The result is None if a run lacks the value or if it is not finite.
    """
    if not values_of(group, name):
        return None
    mean = mean_value(group, name) or 0.0
    return (mean, *(seed_interval(group, name).ends or (mean, mean)))


def main_value_name(group: RunGroup) -> str:
    """Return the name of the main value of a group."""
    return headline(group[0].values)


def main_value_text(group: RunGroup) -> str:
    """Return name, mean and unit of the main value of a group."""
    name = main_value_name(group)
    return f"{name} {measured(mean_value(group, name))} {group[0].values[name].unit}"


def positive_mean(group: RunGroup, read: Callable[[Record], float | None]) -> float | None:
    """Return the mean of a positive number over the runs; None if a run lacks it.

    Args:
        group: the runs.
        read: returns the number of a record, or None.
    """
    values = [value for record in group if (value := read(record)) is not None and isfinite(value) and value > 0]
    return sum(values) / len(values) if len(values) == len(group) else None


def test_fps(group: RunGroup) -> float | None:
    """Return the test images per second, the mean over the runs; None if a run lacks them."""
    return positive_mean(group, lambda record: record.cost.test_fps)


def mean_wall_s(group: RunGroup) -> float | None:
    """Return the mean time of a run in seconds; None for predictions from outside."""
    return sum(record.cost.wall_s for record in group) / len(group) if group[0].computed_here else None


def mean_training_s(group: RunGroup) -> float | None:
    """Return the mean time of the training phase in seconds; None for results from outside."""
    if group[0].external:
        return None
    return sum(record.cost.phase_s.get("training", 0.0) for record in group) / len(group)


def peak_mib(group: RunGroup) -> float | None:
    """Return the largest peak memory of the runs; None for predictions from outside."""
    return max(record.cost.peak_mib for record in group) if group[0].computed_here else None


def device_peak_mib(group: RunGroup) -> float | None:
    """Return the largest peak memory of the runs on a GPU; None on a CPU."""
    return max((record.cost.device_peak_mib for record in group if record.cost.device_peak_mib), default=None)


def any_device_peak(groups: Iterable[RunGroup]) -> bool:
    """Return True if a run used memory of a GPU."""
    return any(device_peak_mib(group) is not None for group in groups)


def value_tables(group: RunGroup) -> list[ValueTable]:
    """Return the values of a group other than the accuracy: PCK and PCP by part, rates by rank, attention."""
    names = list(group[0].values)
    tables: list[ValueTable] = []
    # PCK: a column per distance, a row per part.
    if distances := sorted({name.partition("/")[0] for name in names if name.startswith("pck@")}):
        parts = [name.partition("/")[2] for name in names if name.startswith(f"{distances[0]}/")]
        rows = [("mean of the parts", tuple(mean_value(group, distance) for distance in distances))]
        rows += [(part, tuple(mean_value(group, f"{distance}/{part}") for distance in distances)) for part in parts]
        tables.append(ValueTable("Correct keypoints within a distance (PCK), %", tuple(distances), tuple(rows)))
    # Re-identification: a column per value, rows for mean and range.
    for caption, columns in (
        ("Queries with a correct image among the first images (CMC), %", [n for n in names if n.startswith("cmc@")]),
        ("Mean average precision, %", [n for n in names if n.startswith("map/") or n == "minp"]),
    ):
        if columns:
            rows = [("mean over seeds", tuple(mean_value(group, name) for name in columns))]
            if len(group) > 1:
                values = [values_of(group, name) for name in columns]
                rows += [(end.__name__, tuple(end(of_name, default=None) for of_name in values)) for end in (min, max)]
            tables.append(ValueTable(caption, tuple(columns), tuple(rows)))
    # Values by name: one column.
    for kind, caption in (
        ("pcp", "Correct parts with an IoU over 0.5 (PCP), %"),
        ("attention", "Attention at the parts, relative to the mean of the image"),
        ("watched", "Test accuracy of the softmax layer during training, %"),
    ):
        if columns := [name for name in names if name.startswith(f"{kind}/")]:
            rows = [(name.partition("/")[2].replace("_", " "), (mean_value(group, name),)) for name in columns]
            tables.append(ValueTable(caption, ("mean over seeds",), tuple(rows)))
    return tables

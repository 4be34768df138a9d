"""The interval that every table and page shows beside a measured value: that of the mean over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.judge.recomputed import depends_on_seed
from fgbench.judge.verdict import split_means
from fgbench.records.record import Record
from fgbench.statistics import Interval, mean_interval


@dataclass(frozen=True, slots=True)
class SeedInterval:
    """The interval of a mean over seeds, or why there is none."""

    ends: Interval | None
    """95 % t interval of the mean, a percentage within 0 to 100; None for one seed and without random numbers."""
    about: str
    """What the interval is of, such as `95 % over 3 seeds`; else `one seed` or `same for all seeds`."""


def seed_interval(records: Sequence[Record], name: str) -> SeedInterval:
    """Return the interval of the mean of a value over the seeds of a run.

    A data set with several splits has one value for each split. The interval for other test images and the interval of
    the test of a cell are other intervals; they are shown under their names in the details of a cell.

    Args:
        records: runs that differ only in their seed.
        name: of the value.
    """
    if any(name not in record.values for record in records):
        return SeedInterval(None, "a run lacks the value")
    if not depends_on_seed(records[0]):
        return SeedInterval(None, "same for all seeds")
    values = split_means(records, name)
    if len(values) < 2:
        return SeedInterval(None, "one seed")
    kind = "splits" if len({record.split for record in records}) > 1 else "seeds"
    ends = mean_interval(values)
    if records[0].values[name].unit == "%":
        ends = Interval(max(0.0, ends.low), min(100.0, ends.high))
    return SeedInterval(ends, f"95 % over {len(values)} {kind}")

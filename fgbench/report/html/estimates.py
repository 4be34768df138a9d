"""Estimated and real cost of runs, in a table for each data set and device of the estimates."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.records.phases import expected_of
from fgbench.records.run_cost import Expected
from fgbench.report.html.run_groups import MAX_TABLE_ROWS, RunGroup, named_groups, sort_groups

PARTS = ("arithmetic", "launches", "feeding", "writing", "svm")
"""Parts of an estimated time in the order of the columns."""


@dataclass(frozen=True, slots=True)
class EstimatedRuns:
    """A group of runs with the cost that was estimated before."""

    name: str
    group: RunGroup
    expected: Expected


@dataclass(frozen=True, slots=True)
class EstimateTable:
    """Runs on one data set whose cost was estimated for one device."""

    title: str
    """Data set, device and origin of its rates."""
    rows: tuple[EstimatedRuns, ...]

    @property
    def parts(self) -> list[str]:
        """Parts of the time that an estimate of the table has."""
        return [part for part in PARTS if any(part in row.expected.part_s for row in self.rows)]

    @property
    def has_gpu(self) -> bool:
        """True if an estimate has memory of a GPU."""
        return any(row.expected.device_mib is not None for row in self.rows)


def estimate_tables(groups: Sequence[RunGroup]) -> list[EstimateTable]:
    """Return the tables of the runs that have an estimate; each has at most `MAX_TABLE_ROWS` rows."""
    tables: dict[str, list[RunGroup]] = {}
    for group in sort_groups(groups):
        if expected := expected_of(group):
            data = group[0].data.replace("_", " ").capitalize()
            tables.setdefault(f"{data}, for {expected.device}: {expected.source}", []).append(group)
    return [EstimateTable(title, _rows(same[:MAX_TABLE_ROWS])) for title, same in tables.items()]


def _rows(groups: Sequence[RunGroup]) -> tuple[EstimatedRuns, ...]:
    return tuple(
        EstimatedRuns(name, group, expected) for name, group in named_groups(groups) if (expected := expected_of(group))
    )

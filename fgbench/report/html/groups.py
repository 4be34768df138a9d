"""Runs for charts: which of them, in which order, under which names, and never of two protocols together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from fgbench.judge.verdict import run_sort_key
from fgbench.records.record import Record
from fgbench.report.html.charts import Chart
from fgbench.report.html.model import by_protocol

Group = Sequence[Record]
"""Runs that differ in their seed alone."""


MOST_ROWS = 60
"""Runs of a table; those of years are thousands, and stand in the overview."""


@dataclass(frozen=True, slots=True)
class Section:
    """Charts of one protocol."""

    caption: str
    """What the protocol is."""
    charts: tuple[Chart, ...]
    note: str = ""
    """What is not in them, and why."""


def nearest_first(groups: Iterable[Group]) -> list[Group]:
    """Those nearest to the papers' conditions first, real data before synthetic; then the most seeds, the latest."""
    return sorted(groups, key=run_sort_key, reverse=True)


def sections_of(groups: Iterable[Group], most: int) -> tuple[list[tuple[str, list[Group]]], str]:
    """Groups by protocol, the nearest to the papers' conditions first, and what is said of those beyond `most`."""
    found = by_protocol(nearest_first(groups))
    left = len(found) - most
    note = f"Runs of {left} further protocol{'s' if left > 1 else ''} are not drawn" if left > 0 else ""
    return found[:most], note and f"{note}; each stands with its paper."


def first_rows(groups: Sequence[Group]) -> tuple[Sequence[Group], str]:
    """The first groups, as many as a table has, and what is said of the others."""
    left = len(groups) - MOST_ROWS
    return groups[:MOST_ROWS], f"{left} more runs of it stand in the overview." if left > 0 else ""


def named(groups: Sequence[Group]) -> list[tuple[str, Group]]:
    """Groups by name, no two the same: the title, the profile where profiles differ, and else the run's own name."""
    profiles = {group[0].profile for group in groups}
    names = [
        group[0].title
        + (f", {group[0].profile}" if len(profiles) > 1 else "")
        + (", control" if group[0].control else "")
        for group in groups
    ]
    count = Counter(names)
    pairs = [
        (name if count[name] == 1 else f"{name} ({group[0].identity[:6]})", group)
        for name, group in zip(names, groups, strict=True)
    ]
    return sorted(pairs, key=lambda pair: pair[0])


def values_of(group: Group, name: str) -> list[float]:
    """A value of each run of a group; empty where one lacks it or has no number."""
    values = [record.values[name].value for record in group if name in record.values]
    return values if len(values) == len(group) and all(map(isfinite, values)) else []

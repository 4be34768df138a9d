"""The page on the nightly runs: each value and benchmark over the nights, with level shifts."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fgbench.judge.nightly.history import Night
from fgbench.report.html.charts import Chart
from fgbench.report.html.data_origin import DataOrigin
from fgbench.report.html.line_charts import night_chart
from fgbench.report.html.pages import Page
from fgbench.statistics.change_points import LevelShift, find_level_shifts
from fgbench.util.counted import counted

RECENT_NIGHTS = 7
"""Nights in the first table; the table of the others is collapsed."""
MAX_CHARTS = 12
"""Charts of values, and of benchmarks, those with level shifts or failures first. A chart takes a tenth of a second."""
DRAWN_NIGHTS = 365
"""Nights of a chart: the latest ones."""


@dataclass(frozen=True, slots=True)
class NightSeries:
    """A value or a benchmark over the nights that have it."""

    name: str
    unit: str
    nights: tuple[int, ...]
    """Indices of the nights, from 0."""
    values: tuple[float, ...]
    failed: tuple[bool, ...]
    """True for a night in which the value failed."""
    breaks: tuple[int, ...]
    """Nights with another version of the benchmark or another machine; the values before are not comparable."""
    shifts: tuple[LevelShift, ...]
    """Level shifts; `at` is an index into `values`."""

    @property
    def is_constant(self) -> bool:
        """True if all values are equal and none failed."""
        return not any(self.failed) and min(self.values) == max(self.values)

    def chart(self, count: int) -> Chart:
        """Return the chart: large points for failed nights, red dashes for level shifts, grey dashes for breaks.

        Args:
            count: number of nights of the page.
        """
        shifts = "; ".join(
            f"level shift at night {self.nights[shift.at] + 1}: {shift.before:.4g} to {shift.after:.4g} {self.unit} "
            f"(p = {shift.p:.2g})"
            for shift in self.shifts
        )
        first = max(1, self.nights[-1] + 2 - DRAWN_NIGHTS)
        points = zip(self.nights, self.values, self.failed, strict=True)
        failed = f", failed in {sum(self.failed)}" if any(self.failed) else ""
        shown = counted(len(self.values), "night")
        label = f"{shown}{failed}, {min(self.values):.4g} to {max(self.values):.4g} {self.unit}."
        label += f" The last {DRAWN_NIGHTS} nights are drawn." if first > self.nights[0] + 1 else ""
        return night_chart(
            self.name,
            f"{label} {shifts or 'No level shift'}.",
            self.unit,
            [(k + 1, value, bad) for k, value, bad in points if k + 1 >= first],
            shifts=[at + 0.5 for shift in self.shifts if (at := self.nights[shift.at]) >= first],
            breaks=[night + 0.5 for night in self.breaks if night >= first],
            nights=count,
            first=first,
            note=shifts,
        )


def value_series(nights: Sequence[Night]) -> list[NightSeries]:
    """Return the series of the values of runs; those with level shifts first."""
    units = {name: unit for night in nights for name, unit in night.units.items()}
    points = {
        name: [
            (k, night.values[name], name in night.failed, "") for k, night in enumerate(nights) if name in night.values
        ]
        for name in units
    }
    return _sorted(_series(name, unit, points[name]) for name, unit in units.items())


def benchmark_series(nights: Sequence[Night]) -> list[NightSeries]:
    """Return the series of the benchmarks as multiples of the reference workload; level shifts first."""
    points: dict[str, list[tuple[int, float, bool, str]]] = {}
    titles: dict[str, str] = {}
    for k, night in enumerate(nights):
        for bench in night.benches:
            titles[bench.name] = bench.title
            conditions = f"{bench.version} {bench.machine}"
            point = (k, math.exp(bench.level), bench.name in night.failed, conditions)
            points.setdefault(bench.name, []).append(point)
    return _sorted(_series(titles[name], "times", of_bench) for name, of_bench in points.items())


def _sorted(series: Iterable[NightSeries]) -> list[NightSeries]:
    return sorted(series, key=lambda one: (not one.shifts, not any(one.failed)))


def _series(name: str, unit: str, points: Sequence[tuple[int, float, bool, str]]) -> NightSeries:
    """Return the series of one value.

    Args:
        name: of the value.
        unit: of the value.
        points: index of the night, value, whether it failed, and conditions under which it is comparable.
    """
    nights, values, failed, conditions = zip(*points, strict=True)
    cuts = [k for k in range(1, len(conditions)) if conditions[k] != conditions[k - 1]]
    # Level shifts are searched between the breaks.
    shifts = []
    for start, end in zip([0, *cuts], [*cuts, len(conditions)], strict=True):
        for shift in find_level_shifts(np.array(values[start:end])):
            shifts.append(LevelShift(start + shift.at, shift.before, shift.after, shift.p))
    return NightSeries(name, unit, nights, values, failed, tuple(nights[k] for k in cuts), tuple(shifts))


def history_page(nights: Sequence[Night]) -> Page:
    """Return the page on some nights.

    Args:
        nights: the oldest first.
    """
    values, benchmarks = value_series(nights), benchmark_series(nights)
    changing = [series for series in values if not series.is_constant]
    machines = " and ".join(dict.fromkeys(bench.machine for night in nights for bench in night.benches))
    timed = f", timed on {machines}" if machines else ""
    count = counted(len(nights), "night")
    text = f"{count}{timed}. These numbers show changes; they are not comparable with printed numbers."
    numbered = list(enumerate(nights, start=1))
    context = {
        "recent": numbered[-RECENT_NIGHTS:],
        "older": numbered[:-RECENT_NIGHTS],
        "value_charts": [series.chart(len(nights)) for series in changing[:MAX_CHARTS]],
        "benchmark_charts": [series.chart(len(nights)) for series in benchmarks[:MAX_CHARTS]],
        "not_drawn": [*changing[MAX_CHARTS:], *benchmarks[MAX_CHARTS:]],
        "first_drawn": max(1, len(nights) + 1 - DRAWN_NIGHTS),
        "constant": [series for series in values if series.is_constant],
    }
    return Page("history", "History", "history.html.j2", DataOrigin(False, text), context=context)

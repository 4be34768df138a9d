"""The page on re-identification: match characteristics and mean average precision under each definition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from fgbench.judge.seed_interval import SeedInterval, seed_interval
from fgbench.report.html.charts import MAX_SERIES, Axis, Chart
from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.figures import RangePoint, dot_chart
from fgbench.report.html.line_charts import ChartLine, line_chart
from fgbench.report.html.pages import Page
from fgbench.report.html.run_groups import RunGroup, by_protocol, named_groups, sort_groups, table_groups
from fgbench.report.html.run_values import mean_and_interval, mean_value, values_of
from fgbench.util.counted import counted

MAX_PROTOCOLS = 6
"""Protocols with charts. Drawing a chart takes a tenth of a second."""
MAX_GALLERIES = 4
"""Runs of a protocol with a picture of their galleries."""
PRECISIONS = {"map/step": "mAP by steps", "map/trapezoid": "mAP by trapezoids", "minp": "mINP"}
"""Value -> name of the definition."""
RANK_TICKS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
COLUMNS = ("cmc@1", "cmc@5", "cmc@10", "cmc@20", *PRECISIONS)
"""Values in the table."""


@dataclass(frozen=True, slots=True)
class ReidRow:
    """Values of a group of runs."""

    name: str
    group: RunGroup
    values: tuple[tuple[float | None, SeedInterval], ...]
    """Mean over the seeds and its interval, of each of `COLUMNS`; None if a run lacks the value."""


@dataclass(frozen=True, slots=True)
class ReidTable:
    """Runs of one protocol."""

    caption: str
    """Description of the protocol."""
    rules: tuple[tuple[str, str], ...]
    """Name and text of each rule of the search."""
    charts: tuple[Chart, ...]
    rows: tuple[ReidRow, ...]
    galleries: tuple[tuple[str, bytes], ...]
    """Title and JPEG."""
    note: str
    """Runs that are not drawn."""


def reid_pages(groups: Sequence[RunGroup], pictures: Mapping[str, Mapping[str, bytes]]) -> list[Page]:
    """Return the page on re-identification; no page without a run of it.

    Args:
        groups: all records by group.
        pictures: run id -> kind -> JPEG.
    """
    groups = sort_groups(group for group in groups if "cmc@1" in group[0].values)
    if not groups:
        return []
    tables = [
        _reid_table(caption, same, pictures, has_charts=index < MAX_PROTOCOLS)
        for index, (caption, same) in enumerate(by_protocol(groups))
    ]
    context = {"tables": tables, "columns": [PRECISIONS.get(name, name) for name in COLUMNS]}
    origin = data_origin([record for group in groups for record in group])
    return [Page("reid", "Re-identification", "reid.html.j2", origin, context=context)]


def _reid_table(
    caption: str, groups: Sequence[RunGroup], pictures: Mapping[str, Mapping[str, bytes]], *, has_charts: bool
) -> ReidTable:
    kept, more = table_groups(groups)
    named = named_groups(kept)
    drawn = named[:MAX_SERIES] if has_charts else []
    few = f"{len(drawn)} of {len(named)} runs in the table are drawn." if len(drawn) < len(named) else ""
    charts = [chart for chart in (_cmc_chart(drawn), _precision_chart(drawn)) if chart]
    rows = tuple(
        ReidRow(name, group, tuple((mean_value(group, value), seed_interval(group, value)) for value in COLUMNS))
        for name, group in named
    )
    galleries = (
        (f"{name}, seed {group[0].seed}", picture)
        for name, group in named
        if (picture := pictures.get(group[0].run_id, {}).get("searches"))
    )
    rules = tuple((str(name), str(text)) for name, text in groups[0][0].protocol.get("metrics", ()))
    shown = tuple(islice(galleries, MAX_GALLERIES))
    return ReidTable(caption, rules, tuple(charts), rows, shown, f"{few} {more}".strip())


def _cmc_chart(named: Sequence[tuple[str, RunGroup]]) -> Chart | None:
    """The cumulative match characteristic of each run."""
    lines = []
    for name, group in named:
        values = [value for value in group[0].values if value.startswith("cmc@") and values_of(group, value)]
        if values:
            lines += [
                ChartLine(
                    name,
                    f"seed {record.seed}",
                    tuple((float(value.removeprefix("cmc@")), record.values[value].value) for value in values),
                )
                for record in group
            ]
    if not lines:
        return None
    best = max(lines, key=lambda line: line.points[0][1])
    rank, rate = best.points[0]
    label = f"{counted(len(lines), 'run')}. Highest at rank {rank:g}: {best.series}, {rate:.1f} %."
    last = max(rank for line in lines for rank, _ in line.points)
    ticks = tuple(tick for tick in RANK_TICKS if tick <= last)
    x, y = Axis("rank", 1, last, True, ticks), Axis("correct up to the rank, %", 0, 100)
    return line_chart("Cumulative match characteristic (CMC)", label, x, y, lines)


def _precision_chart(named: Sequence[tuple[str, RunGroup]]) -> Chart | None:
    points = [
        RangePoint(definition, name, *values)
        for name, group in named
        for value, definition in PRECISIONS.items()
        if (values := mean_and_interval(group, value))
    ]
    if not points:
        return None
    best = max(points, key=lambda point: point.mean)
    label = f"{counted(len(named), 'run')}. Highest: {best.name}, {best.series}, {best.mean:.1f} %."
    axis = Axis("mean average precision, %", 0, 100)
    return dot_chart("Mean average precision under each definition", label, axis, points)

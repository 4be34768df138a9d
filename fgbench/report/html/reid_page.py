"""The page on re-identification: how far down its gallery each query has to look, under every definition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from fgbench.report.html import model
from fgbench.report.html.charts import MOST_SERIES, Axis, Chart
from fgbench.report.html.figures import Bar, Line, dots, lines
from fgbench.report.html.groups import Group, first_rows, named, nearest_first, values_of
from fgbench.report.html.pages import Page

MOST_PROTOCOLS = 6
"""With charts: one takes a tenth of a second to draw."""
MOST_GALLERIES = 4
"""Runs of a protocol whose galleries are shown."""
PRECISIONS = {"map/step": "mAP by steps", "map/trapezoid": "mAP by trapezoids", "minp": "mINP"}
"""Mean precisions by definition."""
TICKS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
TOLD = ("cmc@1", "cmc@5", "cmc@10", "cmc@20", *PRECISIONS)


@dataclass(frozen=True, slots=True)
class Row:
    """A run's rates and precisions."""

    name: str
    group: Group
    ranges: tuple[tuple[float, float, float] | None, ...]
    """Mean, least and most over seeds of each of `TOLD`."""


@dataclass(frozen=True, slots=True)
class Board:
    """The runs of one protocol."""

    caption: str
    rules: tuple[tuple[str, str], ...]
    charts: tuple[Chart, ...]
    rows: tuple[Row, ...]
    galleries: tuple[tuple[str, bytes], ...]
    note: str


def reid_page(groups: Sequence[Group], pictures: Mapping[str, Mapping[str, bytes]]) -> list[Page]:
    """The page on re-identification; none where nothing was searched for.

    Args:
        groups: every record, those together that differ in their seed alone.
        pictures: run id -> kind -> JPEG.
    """
    searched = nearest_first(group for group in groups if "cmc@1" in group[0].values)
    if not searched:
        return []
    found = model.by_protocol(searched)
    boards = [_board(caption, own, pictures, place < MOST_PROTOCOLS) for place, (caption, own) in enumerate(found)]
    source = model.source([record for group in searched for record in group])
    context = {"boards": boards, "told": [PRECISIONS.get(name, name) for name in TOLD]}
    return [Page("reid", "Re-identification", "reid.html.j2", source, context=context)]


def _board(caption: str, groups: Sequence[Group], pictures: Mapping[str, Mapping[str, bytes]], drawn: bool) -> Board:
    kept, more = first_rows(groups)
    pairs = named(kept)
    shown = pairs[:MOST_SERIES] if drawn else []
    few = f"{len(shown)} of {len(pairs)} in the table are drawn." if len(shown) < len(pairs) else ""
    note = f"{few} {more}".strip()
    charts = [chart for chart in (_cmc(shown), _precisions(shown)) if chart]
    rows = tuple(Row(name, group, tuple(_range(values_of(group, told)) for told in TOLD)) for name, group in pairs)
    galleries = (
        (f"{name}, seed {group[0].seed}", picture)
        for name, group in pairs
        if (picture := pictures.get(group[0].run_id, {}).get("searches"))
    )
    rules = tuple((str(name), str(text)) for name, text in groups[0][0].protocol.get("metrics", ()))
    return Board(caption, rules, tuple(charts), rows, tuple(islice(galleries, MOST_GALLERIES)), note)


def _cmc(pairs: Sequence[tuple[str, Group]]) -> Chart | None:
    """The cumulative match characteristics of all runs and seeds."""
    runs = []
    for name, group in pairs:
        ranks = [value for value in group[0].values if value.startswith("cmc@") and values_of(group, value)]
        runs += [
            Line(
                name,
                f"seed {record.seed}",
                tuple((float(rank.removeprefix("cmc@")), record.values[rank].value) for rank in ranks),
            )
            for record in group
            if ranks
        ]
    if not runs:
        return None
    first = max(runs, key=lambda line: line.points[0][1])
    label = f"{len(runs)} runs. The highest at rank {first.points[0][0]:g}: {first.series}, {first.points[0][1]:.1f} %."
    last = max(at for line in runs for at, _ in line.points)
    ticks = tuple(tick for tick in TICKS if tick <= last)
    across, up = Axis("rank", 1, last, True, ticks), Axis("right among the first, %", 0, 100)
    return lines("Cumulative match characteristic", label, across, up, runs)


def _precisions(pairs: Sequence[tuple[str, Group]]) -> Chart | None:
    bars = [
        Bar(words, name, *found)
        for name, group in pairs
        for value, words in PRECISIONS.items()
        if (found := _range(values_of(group, value)))
    ]
    if not bars:
        return None
    best = max(bars, key=lambda bar: bar.value)
    label = f"Mean precisions of {len(pairs)} runs. The highest: {best.name}, {best.series}, {best.value:.1f} %."
    return dots("Mean precision under each definition", label, Axis("mean precision, %", 0, 100), bars)


def _range(values: Sequence[float]) -> tuple[float, float, float] | None:
    return (sum(values) / len(values), min(values), max(values)) if values else None

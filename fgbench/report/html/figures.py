"""The kinds of charts there are: lines over epochs or ranks, numbered points, a line a name, and a square of shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from fgbench.report.html.charts import (
    COLOURS,
    WIDTH,
    Axis,
    Chart,
    Layer,
    Row,
    channel,
    finished,
    legend_height,
    plain,
    short,
    styles,
    tooltips,
)

THIN = 30
"""Runs of a chart that have a line of their own; among more none could be told, and there are means, least and most."""
AWAY = 0.12
"""Opacity of what the reader has not picked in the legend."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run of a series, from left to right."""

    series: str
    run: str
    """Such as `seed 0`."""
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of a scatter chart."""

    series: str
    name: str
    x: float
    y: float
    low: float | None = None
    """Lower end of its interval, upwards."""
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A number with a name, and the least and most of what it is the mean of."""

    series: str
    name: str
    value: float
    low: float
    high: float


def lines(title: str, label: str, x: Axis, y: Axis, runs: Sequence[Line], breaks: Sequence[float] = ()) -> Chart:
    """Lines of several series: the mean over the runs of each, thick, and the runs themselves, thin.

    Args:
        title: over the chart.
        label: what it shows.
        x: across.
        y: up.
        runs: those of one series have the same places across.
        breaks: places across where a dashed line stands.
    """
    series = list(dict.fromkeys(run.series for run in runs))
    own = {name: [run for run in runs if run.series == name] for name in series}
    each = [
        {"s": run.series, "r": run.run, "x": short(at), "y": short(value)}
        for run in (runs if len(runs) <= THIN else ())
        for at, value in run.points
    ]
    means = [row for name in series for row in _means(name, own[name])]
    several = any(len(group) > 1 for group in own.values())
    colour, dash, _ = styles(series)
    across, up = channel(alt.X, "x", x), channel(alt.Y, "y", y)
    pick = _pick()
    thin = plain().mark_line(strokeWidth=0.9).encode(
        x=across, y=up, color=colour, detail="r:N", opacity=alt.condition(pick, alt.value(0.4), alt.value(0)),
    )  # fmt: skip
    thick = plain().mark_line(strokeWidth=2).encode(x=across, y=up, color=colour, strokeDash=dash, opacity=_seen(pick))
    told = [("s:N", "of"), ("x:Q", x.title), ("y:Q", "mean" if several else y.title)]
    told += [("low:Q", "least"), ("high:Q", "most"), ("n:Q", "runs")] if several else []
    hover = plain().mark_circle(size=80, opacity=0).encode(x=across, y=up, tooltip=tooltips(*told))
    layers: list[Layer] = [(thin, each)] if several and each else []
    layers += [(thick.add_params(pick), means)]
    if breaks:
        layers.append((plain().mark_rule(strokeDash=[3, 3]).encode(x="x:Q"), [{"x": at} for at in breaks]))
    spec = finished([*layers, (hover, means)], 200 + legend_height(series))
    heads = (("run", "s"), (x.title, "x"), *((("mean", "y"), ("least", "low"), ("most", "high"))
                                            if several else ((y.title, "y"),)))  # fmt: skip
    return Chart(title, label, spec, *_table(means, heads), hover=True)


def _means(name: str, runs: Sequence[Line]) -> list[Row]:
    rows = []
    for number, (at, _) in enumerate(runs[0].points):
        values = [run.points[number][1] for run in runs]
        mean, low, high = (short(value) for value in (sum(values) / len(values), min(values), max(values)))
        rows.append({"s": name, "x": short(at), "y": mean, "low": low, "high": high, "n": len(values)})
    return rows


def scatter(title: str, label: str, x: Axis, y: Axis, spots: Sequence[Spot]) -> Chart:
    """Numbered points with their intervals; the table beside them says which is which."""
    rows = [
        {
            "k": str(number), "s": spot.series, "name": spot.name, "x": short(spot.x), "y": short(spot.y),
            "low": short(spot.y if spot.low is None else spot.low),
            "high": short(spot.y if spot.high is None else spot.high),
        }
        for number, spot in enumerate(spots, 1)
    ]  # fmt: skip
    series = list(dict.fromkeys(spot.series for spot in spots))
    colour, _, shape = styles(series)
    across, up = channel(alt.X, "x", x), channel(alt.Y, "y", y)
    pick = _pick()
    told = tooltips(("name:N", "run"), ("s:N", "method"), ("x:Q", x.title), ("y:Q", y.title), ("low:Q", "from"),
                    ("high:Q", "to"))  # fmt: skip
    layers: list[Layer] = [
        (plain().mark_rule().encode(x=across, y=channel(alt.Y, "low", y), y2="high", opacity=_seen(pick)), rows),
        (_points(70).encode(x=across, y=up, color=colour, shape=shape, opacity=_seen(pick), tooltip=told)
         .add_params(pick), rows),
        (plain().mark_text(dx=8, dy=-6, align="left").encode(x=across, y=up, text="k:N", opacity=_seen(pick)), rows),
    ]  # fmt: skip
    heads = (("No.", "k"), ("run", "name"), ("method", "s"), (x.title, "x"), (y.title, "y"))
    return Chart(title, label, finished(layers, 220 + legend_height(series)), *_table(rows, heads))


def dots(title: str, label: str, x: Axis, bars: Sequence[Bar], *, at: float | None = None) -> Chart:
    """A line a name, with a point for each series, from the least to the most of its runs.

    Args:
        title: over the chart.
        label: what it shows.
        x: across.
        bars: in the order of the lines.
        at: place across where a dashed line stands.
    """
    rows = [
        {"s": bar.series, "name": bar.name, "x": short(bar.value), "low": short(bar.low), "high": short(bar.high)}
        for bar in bars
    ]
    series, names = (list(dict.fromkeys(getattr(bar, field) for bar in bars)) for field in ("series", "name"))
    colour, _, shape = styles(series)
    # The series of a name stand one under the other.
    down: dict[str, Any] = {
        "y": alt.Y("name:N", title=None, sort=names, axis=alt.Axis(labelLimit=130, grid=True)),
        "yOffset": alt.YOffset("s:N", sort=series),
    }
    pick = _pick()
    told = tooltips(("name:N", "of"), ("s:N", "run"), ("x:Q", x.title), ("low:Q", "least"), ("high:Q", "most"))
    span = plain().mark_rule(strokeWidth=1.5).encode(
        x=channel(alt.X, "low", x), x2="high", color=colour, opacity=_seen(pick), **down
    )  # fmt: skip
    point = _points(55).encode(
        x=channel(alt.X, "x", x), color=colour, shape=shape, opacity=_seen(pick), tooltip=told, **down
    )
    layers: list[Layer] = [(span, rows), (point.add_params(pick), rows)]
    if at is not None:
        layers.append((plain().mark_rule(strokeDash=[3, 3]).encode(x="x:Q"), [{"x": at}]))
    spec = finished(layers, 50 + (6 + 9 * len(series)) * len(names) + legend_height(series))
    heads = (("of", "name"), ("run", "s"), (x.title, "x"), ("least", "low"), ("most", "high"))
    return Chart(title, label, spec, *_table(rows, heads))


def heat(title: str, label: str, x: str, y: str, names: Sequence[str], shares: Sequence[Sequence[float]]) -> Chart:
    """A square of shares in percent, the fuller the colour the more: blue where row and column are of one name.

    Args:
        title: over the chart.
        label: what it shows.
        x: what the columns are.
        y: what the rows are.
        names: of rows and columns, no two the same.
        shares: row by row.
    """
    rows = [
        {"t": row, "p": column, "v": short(shares[i][j]), "same": i == j}
        for i, row in enumerate(names)
        for j, column in enumerate(names)
        if shares[i][j] > 0
    ]
    order = alt.Scale(domain=list(names))
    axis = alt.Axis(labelLimit=90, labelFontSize=9, ticks=False, domain=False)
    colours = alt.Scale(domain=[True, False], range=list(COLOURS[:2]))
    square = plain().mark_rect().encode(
        x=alt.X("p:N", title=x, scale=order, axis=axis),
        y=alt.Y("t:N", title=y, scale=order, axis=axis),
        color=alt.Color("same:N", legend=None, scale=colours),
        opacity=alt.Opacity("v:Q", legend=None, scale=alt.Scale(domain=[0, 100], range=[AWAY, 1])),
        tooltip=tooltips(("t:N", y), ("p:N", x), ("v:Q", "share, %")),
    )  # fmt: skip
    heads = ((y, "t"), (x, "p"), ("share, %", "v"))
    return Chart(title, label, finished([(square, rows)], WIDTH + 20), *_table(rows, heads))


def _points(size: int) -> alt.Chart:
    points: alt.Chart = plain().mark_point(filled=True, size=size, stroke="var(--paper)", strokeWidth=1)
    return points


def _pick() -> alt.Parameter:
    """The series whose name in the legend was clicked; all before that."""
    return alt.selection_point(name="pick", fields=["s"], bind="legend")


def _seen(pick: alt.Parameter) -> Any:
    return alt.condition(pick, alt.value(1), alt.value(AWAY))


def _table(
    rows: Sequence[Row], heads: Sequence[tuple[str, str]]
) -> tuple[tuple[str, ...], tuple[tuple[str | float, ...], ...]]:
    """Heads and rows of the table of a chart, from heads and their fields."""
    return tuple(head for head, _ in heads), tuple(tuple(row[field] for _, field in heads) for row in rows)

"""Scatter charts, dot charts and heat maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from fgbench.report.formatting import NONE
from fgbench.report.html.charts import (
    COLOURS,
    FAINT,
    WIDTH,
    Axis,
    Chart,
    Layer,
    channel,
    chart_table,
    layered,
    legend_height,
    legend_selection,
    new_layer,
    opacity,
    point_layer,
    rounded,
    styles,
    tooltips,
)


@dataclass(frozen=True, slots=True)
class ScatterPoint:
    """A point of a scatter chart."""

    series: str
    name: str
    x: float
    y: float
    low: float | None = None
    """Lower end of the interval of y."""
    high: float | None = None
    """Upper end of the interval of y."""
    interval: str = NONE
    """The interval as text, or why there is none."""


@dataclass(frozen=True, slots=True)
class RangePoint:
    """A mean and its interval over seeds, a point of a dot chart."""

    series: str
    name: str
    mean: float
    low: float
    """Lower end of the interval; the mean if there is none."""
    high: float
    """Upper end of the interval; the mean if there is none."""


def scatter_chart(title: str, label: str, x: Axis, y: Axis, points: Sequence[ScatterPoint]) -> Chart:
    """Return a chart of numbered points with their intervals; the table has the name of each number.

    Args:
        title: text above the chart.
        label: description for screen readers.
        x: horizontal axis.
        y: vertical axis.
        points: in the order of their numbers.
    """
    rows = [
        {
            "k": str(number), "s": point.series, "name": point.name, "x": rounded(point.x), "y": rounded(point.y),
            "low": rounded(point.y if point.low is None else point.low),
            "high": rounded(point.y if point.high is None else point.high), "ends": point.interval,
        }
        for number, point in enumerate(points, 1)
    ]  # fmt: skip
    series = list(dict.fromkeys(point.series for point in points))
    colour, _, shape = styles(series)
    across, up = channel(alt.X, "x", x), channel(alt.Y, "y", y)
    selection = legend_selection()
    fields = tooltips(("name:N", "run"), ("s:N", "method"), ("x:Q", x.title), ("y:Q", y.title),
                      ("ends:N", "95 % over seeds"))  # fmt: skip
    seen = opacity(selection)
    intervals = new_layer().mark_rule().encode(x=across, y=channel(alt.Y, "low", y), y2="high", opacity=seen)
    marks = point_layer(70).encode(x=across, y=up, color=colour, shape=shape, opacity=seen, tooltip=fields)
    numbers = new_layer().mark_text(dx=8, dy=-6, align="left").encode(x=across, y=up, text="k:N", opacity=seen)
    layers: list[Layer] = [(intervals, rows), (marks.add_params(selection), rows), (numbers, rows)]
    columns = (("No.", "k"), ("run", "name"), ("method", "s"), (x.title, "x"), (y.title, "y"))
    return Chart(title, label, layered(layers, 220 + legend_height(series)), *chart_table(rows, columns))


def dot_chart(
    title: str, label: str, x: Axis, points: Sequence[RangePoint], *, reference: float | None = None
) -> Chart:
    """Return a chart with one line per name and, for each series, a point at the mean and a bar over its interval.

    Args:
        title: text above the chart.
        label: description for screen readers.
        x: horizontal axis.
        points: in the order of the lines.
        reference: x of a vertical dashed line.
    """
    rows = [
        {"s": point.series, "name": point.name, "x": rounded(point.mean), "low": rounded(point.low),
         "high": rounded(point.high)}
        for point in points
    ]  # fmt: skip
    series, names = (list(dict.fromkeys(getattr(point, field) for point in points)) for field in ("series", "name"))
    colour, _, shape = styles(series)
    # The series of a name are below each other.
    down: dict[str, Any] = {
        "y": alt.Y("name:N", title=None, sort=names, axis=alt.Axis(labelLimit=130, grid=True)),
        "yOffset": alt.YOffset("s:N", sort=series),
    }
    selection = legend_selection()
    seen = opacity(selection)
    fields = tooltips(("name:N", "name"), ("s:N", "run"), ("x:Q", x.title), ("low:Q", "min"), ("high:Q", "max"))
    bars = new_layer().mark_rule(strokeWidth=1.5)
    bars = bars.encode(x=channel(alt.X, "low", x), x2="high", color=colour, opacity=seen, **down)
    marks = point_layer(55)
    marks = marks.encode(x=channel(alt.X, "x", x), color=colour, shape=shape, opacity=seen, tooltip=fields, **down)
    layers: list[Layer] = [(bars, rows), (marks.add_params(selection), rows)]
    if reference is not None:
        layers.append((new_layer().mark_rule(strokeDash=[3, 3]).encode(x="x:Q"), [{"x": reference}]))
    height = 50 + (6 + 9 * len(series)) * len(names) + legend_height(series)
    columns = (("name", "name"), ("run", "s"), (x.title, "x"), ("from", "low"), ("to", "high"))
    return Chart(title, label, layered(layers, height), *chart_table(rows, columns))


def heat_map(title: str, label: str, x: str, y: str, names: Sequence[str], shares: Sequence[Sequence[float]]) -> Chart:
    """Return a square of percentages; the diagonal has another colour, and larger values are more opaque.

    Args:
        title: text above the chart.
        label: description for screen readers.
        x: name of the horizontal axis.
        y: name of the vertical axis.
        names: unique names of the rows, which are those of the columns, too.
        shares: (C, C) in percent.
    """
    rows = [
        {"t": row, "p": column, "v": rounded(shares[i][j]), "same": i == j}
        for i, row in enumerate(names)
        for j, column in enumerate(names)
        if shares[i][j] > 0
    ]
    order = alt.Scale(domain=list(names))
    axis = alt.Axis(labelLimit=90, labelFontSize=9, ticks=False, domain=False)
    colours = alt.Scale(domain=[True, False], range=list(COLOURS[:2]))
    square = new_layer().mark_rect().encode(
        x=alt.X("p:N", title=x, scale=order, axis=axis),
        y=alt.Y("t:N", title=y, scale=order, axis=axis),
        color=alt.Color("same:N", legend=None, scale=colours),
        opacity=alt.Opacity("v:Q", legend=None, scale=alt.Scale(domain=[0, 100], range=[FAINT, 1])),
        tooltip=tooltips(("t:N", y), ("p:N", x), ("v:Q", "share, %")),
    )  # fmt: skip
    columns = ((y, "t"), (x, "p"), ("share, %", "v"))
    return Chart(title, label, layered([(square, rows)], WIDTH + 20), *chart_table(rows, columns))

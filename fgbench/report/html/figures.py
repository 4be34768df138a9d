"""Dot charts and heat maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

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

NAME_LINE = 11
"""Height of a line of a name in px."""


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


def dot_chart(
    title: str, label: str, x: Axis, points: Sequence[RangePoint], *, reference: float | None = None
) -> Chart:
    """Return a chart with one line per name and, for each series, a point at the mean and a bar over its interval.

    Args:
        title: text above the chart.
        label: description for screen readers.
        x: horizontal axis.
        points: in the order of the lines. A name may have several lines of text.
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
    text_lines = max(name.count("\n") + 1 for name in names)
    look: dict[str, Any] = {"grid": True, **_shortened(24)}
    if text_lines > 1:
        count = r"length(split(datum.label, '\n'))"
        centred = [{"test": f"{count} === {n}", "value": -NAME_LINE * (n - 1) / 2} for n in range(2, text_lines + 1)]
        offset = {"condition": centred, "value": 0}
        look |= {"labelExpr": r"split(datum.label, '\n')", "labelLimit": 130, "labelOffset": offset}
    down: dict[str, Any] = {
        "y": alt.Y("name:N", title=None, sort=names, axis=alt.Axis(**look)),
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
    row_height = max(6 + 9 * len(series), NAME_LINE * text_lines + 2)
    height = 50 + row_height * len(names) + legend_height(series)
    columns = (("name", "name"), ("run", "s"), (x.title, "x"), ("from", "low"), ("to", "high"))
    return Chart(title, label, layered(layers, height), *chart_table(rows, columns))


def _shortened(letters: int) -> dict[str, Any]:
    """Return the look of an axis whose names are cut after a number of letters.

    Vega's own `labelLimit` measures each name many times, which takes most of the time of a chart.
    """
    cut = f"length(datum.label) > {letters} ? slice(datum.label, 0, {letters - 1}) + '\u2026' : datum.label"
    return {"labelExpr": cut, "labelLimit": 0}


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
    axis = alt.Axis(**_shortened(18), labelFontSize=9, ticks=False, domain=False)
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

"""Charts in Vega-Lite.

Altair writes the specification of a chart. vl-convert draws it as SVG while the page is rendered, so a page is
complete without scripts. Where scripts run, `charts.js` draws the same specification again in place of the SVG, with
tooltips and a legend that highlights a series. `charts.js` contains Vega (0.9 MB), so it is one file beside the pages.
Each chart has a table with its numbers.

Colours are CSS variables, so a chart is light or dark like its page. Each series also has a dash and a shape.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, isfinite, log10
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from fgbench.report.html.drawn_charts import drawn

WIDTH = 340
"""Width of a chart in px with legend and axes; it fits on a phone. Wider pages scale the chart up."""
LEGEND_LINE = 15
"""Height of a line of the legend in px."""
COLOURS = tuple(f"var(--c{number})" for number in range(1, 7))
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (4, 4), (10, 3))
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
MAX_SERIES = 12
"""Number of series that colour and dash distinguish."""
SIGNIFICANT_DIGITS = 6
"""Digits of the drawn numbers; the tables of the pages have all digits in their titles."""
LOG_MARGIN = 1.1
"""Smallest factor between a point and the end of a logarithmic axis."""
FAINT = 0.12
"""Opacity of the series that are not selected in the legend."""
UNUSED_ATTRIBUTES = ' (?:pointer-events|role|aria-[a-z]+)="[^"]*"'
"""Attributes that Vega writes for the pointer and for screen readers; the label of the figure replaces them."""
LIBRARY = "charts.js"
"""Script beside the pages."""
CONFIG: dict[str, Any] = {
    "aria": False,  # The figure has one label and a table. With labels per mark, a screen reader would read each mark.
    "font": "Arial, Helvetica, sans-serif",  # vl-convert contains the metrics of this font, so measured text fits.
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)", "titleColor": "var(--ink)", "gridColor": "var(--line)", "tickColor": "var(--line)",
        "domainColor": "var(--soft)", "labelFontSize": 10, "titleFontSize": 11, "titleFontWeight": 600,
    },
    "legend": {
        "orient": "bottom", "title": None, "labelColor": "var(--ink)", "labelFontSize": 11, "labelLimit": 320,
        "rowPadding": 2, "symbolSize": 70,
    },
    "text": {"color": "var(--ink)", "fontSize": 10},
    "rule": {"color": "var(--soft)"},
}  # fmt: skip

DataRow = dict[str, Any]
Layer = tuple[alt.Chart, Sequence[DataRow]]
"""A layer of a chart and its data."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a chart."""

    title: str
    """Name and unit."""
    low: float | None = None
    """Lower end; None: from the data."""
    high: float | None = None
    """Upper end; None: from the data."""
    logarithmic: bool = False
    ticks: tuple[float, ...] = ()
    """Values with a tick; empty: chosen by Vega."""
    label: str = ""
    """Vega expression for the text of a tick; empty: the number."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its text and its table."""

    title: str
    label: str
    """Description in one or two sentences, for screen readers."""
    spec: Mapping[str, Any]
    """Vega-Lite specification; the layer for hovering is the last one."""
    heads: tuple[str, ...] = ()
    """Column heads of the table."""
    rows: tuple[tuple[str | float, ...], ...] = ()
    """Rows of the table."""
    note: str = ""
    """Text below the title."""
    hover: bool = False
    """True if the last layer serves the pointer only; the SVG in the page does not have it."""

    @property
    def svg(self) -> Markup:
        """The SVG. Vega escapes names for XML."""
        layers = {"layer": self.spec["layer"][:-1]} if self.hover else {}
        return Markup(_svg(json.dumps({**self.spec, **layers}, allow_nan=False)))

    @property
    def script(self) -> Markup:
        """The specification as JSON for a `<script>`: `<`, `>`, `&` and `'` are escaped."""
        return htmlsafe_json_dumps(self.spec, separators=(",", ":"), allow_nan=False)


def _svg(spec: str) -> str:
    svg = drawn(spec, vl_convert.vegalite_to_svg)
    # Only inside tags: the text of a name may look like an attribute.
    svg = re.sub("<[^>]+>", lambda tag: re.sub(UNUSED_ATTRIBUTES, "", tag[0]), svg)
    return svg.replace("<svg", '<svg aria-hidden="true"', 1)


@lru_cache(maxsize=1)
def library() -> str:
    """Return `charts.js` bundled with Vega, Vega-Lite and Vega-Embed; this needs no network."""
    source = (Path(__file__).parent / "templates" / LIBRARY).read_text(encoding="utf-8")
    return drawn(source, vl_convert.javascript_bundle)


def layered(layers: Sequence[Layer], height: int) -> dict[str, Any]:
    """Return the specification of a chart; data that several layers share is in it once.

    Args:
        layers: from back to front.
        height: in px, with axes and legend.
    """
    spec = alt.layer(*(chart for chart, _ in layers)).to_dict(validate=False)
    names: dict[int, str] = {}
    for _, rows in layers:
        names.setdefault(id(rows), f"rows{len(names)}")
    for layer, (_, rows) in zip(spec["layer"], layers, strict=True):
        layer["data"] = {"name": names[id(rows)]}
    spec.pop("data", None)
    return {
        **spec, "datasets": {names[id(rows)]: list(rows) for _, rows in layers}, "config": CONFIG,
        "width": WIDTH, "height": height, "background": "transparent",
        "autosize": {"type": "fit", "contains": "padding"}, "padding": {"left": 2, "right": 8, "top": 6, "bottom": 2},
    }  # fmt: skip


def new_layer() -> alt.Chart:
    """Return a layer without data. `layered` adds the data later, because Altair would inspect each row."""
    return alt.Chart(alt.NamedData(name="rows"))


def point_layer(size: int) -> alt.Chart:
    """Return a layer of filled points.

    Args:
        size: area of a point in px².
    """
    points: alt.Chart = new_layer().mark_point(filled=True, size=size, stroke="var(--paper)", strokeWidth=1)
    return points


def styles(series: Sequence[str]) -> tuple[alt.Color, alt.StrokeDash, alt.Shape]:
    """Return the colours, dashes and shapes of the series (field `s`); several series also get a legend."""
    names = list(series)
    indices = [(i % len(COLOURS), (i + i // len(COLOURS)) % len(DASHES)) for i in range(len(names))]
    # The legend has the line style of the means, whichever layer Vega takes it from.
    legend = None
    if len(names) > 1:
        legend = alt.Legend(columns=_legend_columns(names), symbolOpacity=1, symbolStrokeWidth=2)

    def scale(looks: list[Any]) -> alt.Scale:
        return alt.Scale(domain=names, range=looks)

    return (
        alt.Color("s:N", legend=legend, scale=scale([COLOURS[colour] for colour, _ in indices])),
        alt.StrokeDash("s:N", legend=legend, scale=scale([list(DASHES[dash]) for _, dash in indices])),
        alt.Shape("s:N", legend=legend, scale=scale([SHAPES[shape] for _, shape in indices])),
    )


def legend_height(series: Sequence[str]) -> int:
    """Return the height of the legend of some series in px."""
    return 0 if len(series) < 2 else 12 + LEGEND_LINE * ceil(len(series) / _legend_columns(series))


def _legend_columns(names: Sequence[str]) -> int:
    longest = max(map(len, names))
    return 4 if longest <= 8 else 3 if longest <= 12 else 2 if longest <= 22 else 1


def legend_selection() -> alt.Parameter:
    """Return the selection of a series by a click in the legend; before a click, all series are selected."""
    return alt.selection_point(name="pick", fields=["s"], bind="legend")


def opacity(selection: alt.Parameter) -> Any:
    """Return an opacity that makes series outside the selection faint."""
    return alt.condition(selection, alt.value(1), alt.value(FAINT))


def channel(kind: type[alt.X] | type[alt.Y], field: str, axis: Axis) -> Any:
    """Return the encoding of a numeric field along an axis."""
    scale: dict[str, Any] = {"type": "log"} if axis.logarithmic else {"zero": False}
    scale |= {"nice": True} if axis.low is None or axis.high is None else {"domain": [axis.low, axis.high]}
    look: dict[str, Any] = {"values": list(axis.ticks)} if axis.ticks else {"tickCount": 5}
    look |= {"labelExpr": axis.label} if axis.label else {}
    return kind(f"{field}:Q", title=axis.title, scale=alt.Scale(**scale), axis=alt.Axis(**look))


def log_axis(title: str, values: Sequence[float], label: str = "") -> Axis:
    """Return a logarithmic axis that contains positive values; its ticks are 1, 2 and 5 times powers of ten.

    Args:
        title: name and unit.
        values: positive numbers.
        label: Vega expression for the text of a tick.
    """
    low, high = min(values) / LOG_MARGIN, max(values) * LOG_MARGIN
    steps = [factor * 10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1) for factor in (1, 2, 5)]
    below = max(step for step in steps if step <= low)
    above = min(step for step in steps if step >= high)
    ticks = tuple(step for step in steps if below <= step <= above)
    if len(ticks) > 6:
        ticks = tuple(step for step in ticks if f"{step:e}".startswith("1"))
    return Axis(title, below, above, True, ticks, label)


def tooltips(*fields: tuple[str, str]) -> list[alt.Tooltip]:
    """Return tooltips of pairs: a field as `name:Q` or `name:N`, and its title."""
    return [alt.Tooltip(field, title=title) for field, title in fields]


def chart_table(
    rows: Sequence[DataRow], columns: Sequence[tuple[str, str]]
) -> tuple[tuple[str, ...], tuple[tuple[str | float, ...], ...]]:
    """Return heads and rows of the table of a chart.

    Args:
        rows: data of the chart.
        columns: head and field of each column.
    """
    return tuple(head for head, _ in columns), tuple(tuple(row[field] for _, field in columns) for row in rows)


def rounded(value: float) -> float:
    """Return a number with the digits that are drawn.

    Raises:
        ValueError: the number is not finite; Vega would omit it without an error.
    """
    if not isfinite(value):
        raise ValueError(f"{value} cannot be drawn")
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")

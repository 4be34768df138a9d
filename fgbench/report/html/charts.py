"""Charts by Vega-Lite: each is drawn as SVG when its page is rendered, and is interactive where scripts run.

Altair writes the specification, vl-convert draws it. The SVG is in the page, so that a reader without scripts misses
nothing but hovering; where scripts run, `charts.js` draws the same specification once more in its place, with tooltips
and a legend that picks out a series. It stands beside the pages, once, as the libraries in it are 0.9 MB: the `<title>`
of an SVG, which costs nothing, shows late, on one line, and not to a finger, and no seed can be told among thirty.
Every chart has its numbers in a table beside it.

Colours are CSS variables, so that a chart is light or dark with its page; a series has a dash and a shape, too.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

WIDTH = 340
"""Of a chart in px, legend and axes included: what a telephone has room for. Wider pages scale it up."""
LINE = 15
"""Height of a line of the legend in px."""
COLOURS = tuple(f"var(--c{number})" for number in range(1, 7))
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (4, 4), (10, 3))
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
MOST_SERIES = 12
"""Colour and dash together tell so many apart."""
DIGITS = 6
"""Significant ones of what is drawn; pages have full precision in their tables' titles."""
IDLE = ' (?:pointer-events|role|aria-[a-z]+)="[^"]*"'
LIBRARY = "charts.js"
"""File beside the pages."""

CONFIG: dict[str, Any] = {
    "aria": False,  # The figure has one label, and a table: a label a mark would be read out mark by mark.
    "font": "Arial, Helvetica, sans-serif",  # vl-convert brings its measures, so that what is drawn fits its place
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


Row = dict[str, Any]
Layer = tuple[alt.Chart, Sequence[Row]]
"""What is drawn, and its rows."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A direction of a chart."""

    title: str
    """With its unit."""
    low: float | None = None
    """Where it begins; where the numbers do if None."""
    high: float | None = None
    logarithmic: bool = False
    ticks: tuple[float, ...] = ()
    """Where its numbers stand; anywhere if empty."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and what stands for it where it is not seen."""

    title: str
    label: str
    """What it shows, in a sentence or two, for who hears it."""
    spec: Mapping[str, Any]
    """In Vega-Lite, its layer for hovering last."""
    heads: tuple[str, ...] = ()
    """Of the table beside it."""
    rows: tuple[tuple[str | float, ...], ...] = ()
    hover: bool = field(default=False)
    """Whether the last layer is there for the pointer alone, and not drawn in the page."""

    @property
    def svg(self) -> Markup:
        """The drawing; Vega writes names as text, as it is to be read by any program that reads XML."""
        layers = {"layer": self.spec["layer"][:-1]} if self.hover else {}
        return Markup(_drawn(json.dumps({**self.spec, **layers}, allow_nan=False)))

    @property
    def script(self) -> Markup:
        """The specification in JSON that can stand in a `<script>`: without `<`, `>`, `&` and quotes of its own."""
        return htmlsafe_json_dumps(self.spec, separators=(",", ":"), allow_nan=False)


@lru_cache(maxsize=512)
def _drawn(spec: str) -> str:
    """The SVG of a specification, without what is for the pointer or for who does not see: its figure has a label."""
    svg: str = vl_convert.vegalite_to_svg(spec)
    # In tags alone: a name in the text may read like an attribute.
    svg = re.sub("<[^>]+>", lambda tag: re.sub(IDLE, "", tag[0]), svg)
    return svg.replace("<svg", '<svg aria-hidden="true"', 1)


@lru_cache(maxsize=1)
def library() -> str:
    """`charts.js` with Vega, Vega-Lite and Vega-Embed in it; no network is needed to make or to use it."""
    ours = (Path(__file__).parent / "templates" / LIBRARY).read_text(encoding="utf-8")
    script: str = vl_convert.javascript_bundle(ours)
    return script


def finished(layers: Sequence[Layer], height: int) -> dict[str, Any]:
    """The specification of layers with their rows, of which those that several have stand in it once."""
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


def plain() -> alt.Chart:
    """A layer; its rows come in when it is finished, as Altair would look at every one of them."""
    return alt.Chart(alt.NamedData(name="rows"))


def styles(series: Sequence[str]) -> tuple[alt.Color, alt.StrokeDash, alt.Shape]:
    """A colour, a dash and a shape for each series (field `s`), and a legend where there is more than one."""
    names = list(series)
    turns = [(i % len(COLOURS), (i + i // len(COLOURS)) % len(DASHES)) for i in range(len(names))]
    # The lines of the legend are as those of the means, whichever layer it is taken from.
    legend = alt.Legend(columns=_columns(names), symbolOpacity=1, symbolStrokeWidth=2) if len(names) > 1 else None

    def scale(looks: list[Any]) -> alt.Scale:
        return alt.Scale(domain=names, range=looks)

    return (
        alt.Color("s:N", legend=legend, scale=scale([COLOURS[colour] for colour, _ in turns])),
        alt.StrokeDash("s:N", legend=legend, scale=scale([list(DASHES[dash]) for _, dash in turns])),
        alt.Shape("s:N", legend=legend, scale=scale([SHAPES[shape] for _, shape in turns])),
    )


def legend_height(series: Sequence[str]) -> int:
    """Of the legend under a chart, in px."""
    return 0 if len(series) < 2 else 12 + LINE * -(-len(series) // _columns(series))


def _columns(names: Sequence[str]) -> int:
    longest = max(map(len, names))
    return 4 if longest <= 8 else 3 if longest <= 12 else 2 if longest <= 22 else 1


def channel(kind: type[alt.X] | type[alt.Y], name: str, axis: Axis) -> Any:
    """A field of numbers along an axis."""
    scale: dict[str, Any] = {"type": "log"} if axis.logarithmic else {"zero": False}
    scale |= {"nice": True} if axis.low is None or axis.high is None else {"domain": [axis.low, axis.high]}
    look: dict[str, Any] = {"values": list(axis.ticks)} if axis.ticks else {"tickCount": 5}
    return kind(f"{name}:Q", title=axis.title, scale=alt.Scale(**scale), axis=alt.Axis(**look))


def tooltips(*fields: tuple[str, str]) -> list[alt.Tooltip]:
    """What the pointer is told: fields as `name:Q` or `name:N`, and what they are called."""
    return [alt.Tooltip(field, title=title) for field, title in fields]


def short(value: float) -> float:
    """A number as it is drawn.

    Raises:
        ValueError: it is none, which Vega would not draw and not tell.
    """
    if not isfinite(value):
        raise ValueError(f"{value} cannot be drawn")
    return float(f"{value:.{DIGITS}g}")

"""Charts of accuracy against a cost: every run with its name, and the front of the best trade-offs."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, exp, floor, log, log10
from textwrap import wrap
from typing import Any, Literal

import altair as alt

from fgbench.report.formatting import NONE
from fgbench.report.html.charts import (
    Axis,
    Chart,
    DataRow,
    Layer,
    channel,
    chart_table,
    layered,
    legend_selection,
    log_axis,
    new_layer,
    opacity,
    point_layer,
    rounded,
    styles,
    tooltips,
)
from fgbench.report.html.label_placement import FONT_PX, LINE_PX, Box, distance, nearest_place, place_labels
from fgbench.util.counted import counted

PLOT_PX = 288
"""Width of the plot, so that it has the width of a chart with its axis."""
HEIGHTS_PX = (210, 260, 320, 390, 470, 560)
"""Heights of the plot that are tried until every name has a place."""
SMALLEST_SPAN = 0.05
"""Smallest range of the accuracy that decides the steps of its axis, as a share of the accuracy."""
MAX_NAMED = 30
"""Names in a chart; further points have numbers."""
LINE_LENGTH = 26
"""Characters of a line of a name."""
LEADER_PX = 9.0
"""Distance between a point and its name above which a line joins them."""
FRONT = "best trade-offs"
"""Name of the line in the legend."""


@dataclass(frozen=True, slots=True)
class TradeOffPoint:
    """Accuracy and cost of a run."""

    series: str
    name: str
    x: float
    """Cost, positive."""
    y: float
    low: float | None = None
    """Lower end of the interval of y."""
    high: float | None = None
    """Upper end of the interval of y."""
    interval: str = NONE
    """The interval as text, or why there is none."""


def front(points: Sequence[TradeOffPoint], *, more_is_better: bool) -> list[TradeOffPoint]:
    """Return the points that no other point beats, by x: the Pareto front.

    A point beats another one if it is at least as good in both numbers and better in one.

    Args:
        points: in any order.
        more_is_better: True for a speed, False for a cost such as energy.
    """
    sign = 1 if more_is_better else -1

    def beats(a: TradeOffPoint, b: TradeOffPoint) -> bool:
        return sign * a.x >= sign * b.x and a.y >= b.y and (a.x != b.x or a.y != b.y)

    best = [point for point in points if not any(beats(other, point) for other in points)]
    return sorted(best, key=lambda point: (point.x, point.y))


def short_names(names: Sequence[str]) -> list[str]:
    """Return unique names in short lines.

    The networks are on a line of their own, without the layers at which they are cut. The profile is left out if all
    names have the same one.
    """
    short = [re.sub(r"(\w):\w+", r"\1", name) for name in names]
    last = Counter(name.rpartition(", ")[2] for name in names)
    if len(last) == 1 and all(", " in name for name in names):
        short = [name.rpartition(", ")[0] for name in short]
    if len(set(short)) < len(set(names)):
        short = list(names)
    lines = [name.replace(" on ", "\non ", 1).split("\n") for name in short]
    return ["\n".join(part for line in of_name for part in wrap(line, LINE_LENGTH)) for of_name in lines]


def trade_off_chart(
    title: str, x_title: str, y_title: str, points: Sequence[TradeOffPoint], *, more_is_better: bool
) -> Chart:
    """Return a chart of accuracy against a cost.

    Args:
        title: text above the chart.
        x_title: name and unit of the cost.
        y_title: name and unit of the accuracy.
        points: at least one; their numbers are their places.
        more_is_better: True for a speed, False for a cost such as energy.
    """
    best = front(points, more_is_better=more_is_better)
    x, y = log_axis(x_title, [point.x for point in points]), _y_axis(y_title, points)
    rows = [
        {
            "k": str(number), "s": point.series, "name": point.name, "x": rounded(point.x), "y": rounded(point.y),
            "low": rounded(point.y if point.low is None else point.low),
            "high": rounded(point.y if point.high is None else point.high), "ends": point.interval,
            "best": "yes" if point in best else "no",
        }
        for number, point in enumerate(points, 1)
    ]  # fmt: skip
    names = short_names([point.name for point in points])
    plot, boxes = _placed(points, names, best, x, y, more_is_better=more_is_better)
    labels, leaders = _label_rows(rows, names, boxes, plot)
    # Layers from back to front: front, lines to names, intervals, points, names.
    colour, _, shape = styles(list(dict.fromkeys(point.series for point in points)))
    selection = legend_selection()
    seen = opacity(selection)
    across, up = channel(alt.X, "x", x), channel(alt.Y, "y", y)
    layers: list[Layer] = []
    if len(best) > 1:
        steps = [{"x": rounded(point.x), "y": rounded(point.y), "front": FRONT} for point in best]
        layers.append((_front_layer(across, up, more_is_better=more_is_better), steps))
    if leaders:
        thin = new_layer().mark_rule(strokeWidth=0.6)
        layers.append((thin.encode(x=across, y=up, x2="x2", y2="y2", opacity=seen), leaders))
    intervals = new_layer().mark_rule().encode(x=across, y=channel(alt.Y, "low", y), y2="high", opacity=seen)
    fields = tooltips(("name:N", "run"), ("s:N", "method"), ("x:Q", x_title), ("y:Q", y_title),
                      ("ends:N", "95 % over seeds"), ("best:N", "best trade-off"))  # fmt: skip
    marks = point_layer(55).encode(x=across, y=up, color=colour, shape=shape, opacity=seen, tooltip=fields)
    text = new_layer().mark_text(align="left", baseline="top", fontSize=FONT_PX, lineBreak="\n", lineHeight=LINE_PX)
    layers += [(intervals, rows), (marks.add_params(selection), rows)]
    layers.append((text.encode(x=across, y=up, text="label:N", opacity=seen), labels))
    spec = layered(layers, plot.height) | {"width": PLOT_PX, "autosize": {"type": "pad"}}
    columns = (("No.", "k"), ("run", "name"), ("method", "s"), (x_title, "x"), (y_title, "y"), (FRONT, "best"))
    return Chart(title, _description(points, best), spec, *chart_table(rows, columns), note=_note(best, boxes))


@dataclass(frozen=True, slots=True)
class _Plot:
    """Scales between data and px."""

    x: Axis
    y: Axis
    height: int

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point in px."""
        low, high = log(self.x.low or 1), log(self.x.high or 1)
        bottom, top = self.y.low or 0.0, self.y.high or 0.0
        return PLOT_PX * (log(x) - low) / (high - low), self.height * (top - y) / (top - bottom)

    def data(self, left: float, top: float) -> tuple[float, float]:
        """Return the cost and the accuracy at a place in px."""
        low, high = log(self.x.low or 1), log(self.x.high or 1)
        y_low, y_high = self.y.low or 0.0, self.y.high or 0.0
        return exp(low + left / PLOT_PX * (high - low)), y_high - top / self.height * (y_high - y_low)


def _y_axis(title: str, points: Sequence[TradeOffPoint]) -> Axis:
    """Return the axis of the accuracy with its intervals, from one round number to another one."""
    ends = [end for point in points for end in (point.y, point.low, point.high) if end is not None]
    low, high = min(ends), max(ends)
    # Points that are nearly equal do not fill the axis, whose numbers would then have many digits.
    span = max(high - low, SMALLEST_SPAN * abs(high), 1e-3)
    power = 10.0 ** floor(log10(span / 8))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / 8)
    return Axis(title, step * floor(low / step - 0.2), step * ceil(high / step + 0.2))


def _placed(
    points: Sequence[TradeOffPoint],
    names: Sequence[str],
    best: Sequence[TradeOffPoint],
    x: Axis,
    y: Axis,
    *,
    more_is_better: bool,
) -> tuple[_Plot, list[Box | None]]:
    """Return the plot with the smallest height at which every name has a place, and the places."""
    # The front first, because its names matter most.
    order = sorted(range(len(points)), key=lambda number: points[number] not in best)[:MAX_NAMED]
    for height in HEIGHTS_PX:
        plot = _Plot(x, y, height)
        places = [plot.place(point.x, point.y) for point in points]
        others = [place for number, place in enumerate(places) if number not in order]
        steps = _steps([plot.place(point.x, point.y) for point in best], more_is_better=more_is_better)
        first = [places[number] for number in order]
        found = place_labels(first, [names[number] for number in order], PLOT_PX, height, others, steps)
        boxes: list[Box | None] = [None] * len(points)
        for number, box in zip(order, found, strict=True):
            boxes[number] = box
        if all(found):
            break
    return plot, boxes


def _steps(places: Sequence[tuple[float, float]], *, more_is_better: bool) -> list[Box]:
    """Return the lines of a front in px, as `_front_layer` draws them."""
    lines = []
    for (x1, y1), (x2, y2) in pairwise(places):
        x, y = (x1, y2) if more_is_better else (x2, y1)
        lines += [Box(x, min(y1, y2), x, max(y1, y2)), Box(x1, y, x2, y)]
    return lines


def _label_rows(
    rows: Sequence[DataRow], names: Sequence[str], boxes: Sequence[Box | None], plot: _Plot
) -> tuple[list[DataRow], list[DataRow]]:
    """Return the rows of the names (numbers where no name has a place), and those of the lines to far names."""
    labels: list[DataRow] = []
    leaders: list[DataRow] = []
    for row, name, box in zip(rows, names, boxes, strict=True):
        place = plot.place(row["x"], row["y"])
        corner, label = ((place[0] + 5, place[1] - 12), row["k"]) if box is None else ((box.left, box.top), name)
        x, y = plot.data(*corner)
        labels.append({"s": row["s"], "label": label, "x": x, "y": y})
        if box is not None and distance(box, place) > LEADER_PX:
            x2, y2 = plot.data(*nearest_place(box, place))
            leaders.append({"s": row["s"], "x": row["x"], "y": row["y"], "x2": x2, "y2": y2})
    return labels, leaders


def _front_layer(across: Any, up: Any, *, more_is_better: bool) -> alt.Chart:
    """Return the layer of the front with its entry in the legend: the best accuracy that a cost allows, in steps."""
    steps: Literal["step-before", "step-after"] = "step-before" if more_is_better else "step-after"
    scale = alt.Scale(domain=[FRONT], range=[[4, 3]])
    legend = alt.Legend(orient="top", symbolType="stroke", symbolStrokeColor="var(--soft)", symbolStrokeWidth=2)
    line: alt.Chart = new_layer().mark_line(interpolate=steps, stroke="var(--soft)", strokeWidth=1.5)
    return line.encode(x=across, y=up, strokeDash=alt.StrokeDash("front:N", scale=scale, legend=legend))


def _description(points: Sequence[TradeOffPoint], best: Sequence[TradeOffPoint]) -> str:
    highest, right = max(points, key=lambda point: point.y), max(points, key=lambda point: point.x)
    return (
        f"{counted(len(points), 'run')}. Highest: {highest.name}, {highest.y:.1f} at {highest.x:.3g}. "
        f"Farthest to the right: {right.name}, {right.y:.1f} at {right.x:.3g}. "
        f"Best trade-offs: {'; '.join(point.name for point in best)}."
    )


def _note(best: Sequence[TradeOffPoint], boxes: Sequence[Box | None]) -> str:
    notes = ["The line joins the best trade-offs: no other run is as good in both numbers and better in one."]
    if len(best) == 1:
        notes = [f"{best[0].name} is the best in both numbers."] if len(boxes) > 1 else []
    if not all(boxes):
        notes.append("A number stands for a name that has no space; the names are below the chart.")
    return " ".join(notes)

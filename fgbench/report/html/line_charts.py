"""Line charts: runs of several series, and one line over nights with marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from fgbench.report.html.charts import (
    Axis,
    Chart,
    DataRow,
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

MAX_THIN_LINES = 30
"""With more runs, only the means are drawn; the table has the range of the runs."""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """One run of a series."""

    series: str
    run: str
    """For example `seed 0`."""
    points: tuple[tuple[float, float], ...]
    """x and y, by increasing x."""


def line_chart(
    title: str,
    label: str,
    x: Axis,
    y: Axis,
    lines: Sequence[ChartLine],
    *,
    breaks: Sequence[float] = (),
    points: bool = False,
    note: str = "",
) -> Chart:
    """Return a chart of several series: a thick line for the mean over the runs, thin lines for the runs.

    Args:
        title: text above the chart.
        label: description for screen readers.
        x: horizontal axis.
        y: vertical axis.
        lines: runs; those of one series have the same x.
        breaks: x of vertical dashed lines.
        points: True to mark each mean with a point.
        note: text below the title.
    """
    by_series: dict[str, list[ChartLine]] = {}
    for line in lines:
        by_series.setdefault(line.series, []).append(line)
    series = list(by_series)
    several_runs = any(len(runs) > 1 for runs in by_series.values())
    # Data: the points of the runs, and the mean, minimum and maximum over the runs.
    run_rows = [
        {"s": line.series, "r": line.run, "x": rounded(at), "y": rounded(value)}
        for line in (lines if len(lines) <= MAX_THIN_LINES else ())
        for at, value in line.points
    ]
    mean_rows = [row for name, runs in by_series.items() for row in _mean_rows(name, runs)]
    # Layers, from back to front.
    colour, dash, _ = styles(series)
    across, up = channel(alt.X, "x", x), channel(alt.Y, "y", y)
    selection = legend_selection()
    layers: list[Layer] = []
    if several_runs and run_rows:
        faint = alt.condition(selection, alt.value(0.4), alt.value(0))
        thin = new_layer().mark_line(strokeWidth=0.9)
        layers.append((thin.encode(x=across, y=up, color=colour, detail="r:N", opacity=faint), run_rows))
    thick = new_layer().mark_line(
        strokeWidth=2, strokeJoin="round", point={"size": 30, "filled": True} if points else False
    )
    thick = thick.encode(x=across, y=up, color=colour, strokeDash=dash, opacity=opacity(selection))
    layers.append((thick.add_params(selection), mean_rows))
    if breaks:
        layers.append(_rules(across, breaks))
    fields = [("s:N", "run"), ("x:Q", x.title), ("y:Q", "mean" if several_runs else y.title)]
    fields += [("low:Q", "min"), ("high:Q", "max"), ("n:Q", "runs")] if several_runs else []
    hover = new_layer().mark_circle(size=80, opacity=0).encode(x=across, y=up, tooltip=tooltips(*fields))
    layers.append((hover, mean_rows))
    # Table.
    values = (("mean", "y"), ("min", "low"), ("max", "high")) if several_runs else ((y.title, "y"),)
    heads, rows = chart_table(mean_rows, (("run", "s"), (x.title, "x"), *values))
    return Chart(title, label, layered(layers, 200 + legend_height(series)), heads, rows, note, hover=True)


def _mean_rows(series: str, runs: Sequence[ChartLine]) -> list[DataRow]:
    rows = []
    for index, (at, _) in enumerate(runs[0].points):
        values = [run.points[index][1] for run in runs]
        mean, low, high = (rounded(value) for value in (sum(values) / len(values), min(values), max(values)))
        rows.append({"s": series, "x": rounded(at), "y": mean, "low": low, "high": high, "n": len(values)})
    return rows


def night_chart(
    title: str,
    label: str,
    unit: str,
    points: Sequence[tuple[int, float, bool]],
    *,
    shifts: Sequence[float] = (),
    breaks: Sequence[float] = (),
    nights: int,
    first: int = 1,
    note: str = "",
) -> Chart:
    """Return a chart of a value over nights.

    Args:
        title: text above the chart.
        label: description for screen readers.
        unit: of the value.
        points: number of the night, value, and True if the value failed in that night.
        shifts: x of level shifts.
        breaks: x of changes of the benchmark or the machine.
        nights: number of the last night.
        first: number of the first drawn night.
        note: text below the title.
    """
    rows = [
        {"x": night, "y": rounded(value), "state": "failed" if failed else "passed"} for night, value, failed in points
    ]
    across, up = channel(alt.X, "x", Axis("night", first, max(first + 1, nights))), channel(alt.Y, "y", Axis(unit))
    line = new_layer().mark_line(
        strokeWidth=1.6, strokeJoin="round", color="var(--c1)", point={"size": 12, "color": "var(--c1)"}
    )
    layers: list[Layer] = [(line.encode(x=across, y=up), rows)]
    if breaks:
        layers.append(_rules(across, breaks))
    if shifts:
        layers.append(_rules(across, shifts, color="var(--bad)", strokeWidth=1.6, strokeDash=[6, 3]))
    if failed_rows := [row for row in rows if row["state"] == "failed"]:
        layers.append(
            (point_layer(70).encode(x=across, y=up, color=alt.value("var(--bad)"), opacity=alt.value(1)), failed_rows)
        )
    fields = tooltips(("x:Q", "night"), ("y:Q", unit), ("state:N", "outcome"))
    layers.append((new_layer().mark_circle(size=60, opacity=0).encode(x=across, y=up, tooltip=fields), rows))
    heads, table = chart_table(rows, (("night", "x"), (unit, "y"), ("outcome", "state")))
    return Chart(title, label, layered(layers, 160), heads, table, note, hover=True)


def _rules(across: Any, places: Sequence[float], **look: Any) -> Layer:
    """Vertical lines at some x, with the scale of the other layers."""
    return new_layer().mark_rule(**({"strokeDash": [3, 3]} | look)).encode(x=across), [{"x": at} for at in places]

"""Learning curves of the runs of a protocol: loss and training accuracy by epoch."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from fgbench.records.record import Point, Record
from fgbench.report.html.charts import MAX_SERIES, Axis, Chart
from fgbench.report.html.line_charts import ChartLine, line_chart
from fgbench.report.html.run_groups import ChartSection, RunGroup, named_groups, protocol_sections
from fgbench.util.counted import counted

MAX_PROTOCOLS = 4
"""Protocols with charts on one page. Drawing a chart takes a tenth of a second."""
MAX_EPOCHS = 60
"""Points of a line; longer curves are sampled evenly."""


def learning_sections(groups: Sequence[RunGroup]) -> list[ChartSection]:
    """Return charts of loss and training accuracy for each protocol; runs without epochs are left out."""
    trained = [group for group in groups if all(record.has_curve for record in group)]
    protocols, left_out = protocol_sections(trained, MAX_PROTOCOLS)
    sections = []
    for caption, same in protocols:
        drawn = same[:MAX_SERIES]
        note = "" if len(same) == len(drawn) else f"{len(drawn)} of {len(same)} runs are drawn. "
        charts = [_chart(drawn, "loss", "loss"), _chart(drawn, "training accuracy, %", "accuracy")]
        sections.append(ChartSection(caption, tuple(chart for chart in charts if chart), note + _stages_text(drawn)))
    if left_out and sections:
        sections[-1] = replace(sections[-1], note=f"{sections[-1].note}. {left_out}")
    return sections


def learning_text(curve: Sequence[Point]) -> str:
    """Return stages, number of epochs, and the first and last loss and training accuracy of a run."""
    stages = " then ".join(dict.fromkeys(point.stage for point in curve))
    first, last = curve[0], curve[-1]
    return (
        f"{counted(len(curve), 'epoch')} ({stages}): loss from {first.loss:.3g} to {last.loss:.3g}, "
        f"training accuracy from {first.accuracy:.3g} % to {last.accuracy:.3g} %"
    )


def _chart(groups: Sequence[RunGroup], title: str, field: str) -> Chart | None:
    lines = []
    for name, group in named_groups(groups):
        of_group = [ChartLine(name, f"seed {record.seed}", _points(record.curve, field)) for record in group]
        # A mean needs the same epochs in each run.
        if of_group[0].points and len({tuple(epoch for epoch, _ in line.points) for line in of_group}) == 1:
            lines += of_group
    if not lines:
        return None
    first, last = (sorted({line.points[end][1] for line in lines}) for end in (0, -1))
    ends = f"from {_range_text(first)} in the first epoch to {_range_text(last)} in the last epoch"
    label = f"{counted(len(lines), 'run')}: {ends}."
    y = Axis(title, 0, 100) if title.endswith("%") else Axis(title)
    epochs = max(len(record.curve) for group in groups for record in group)
    x = Axis("epoch", 1, epochs) if epochs > 1 else Axis("epoch")
    return line_chart(title.capitalize(), label, x, y, lines, breaks=_stage_breaks(groups))


def _points(curve: Sequence[Point], field: str) -> tuple[tuple[float, float], ...]:
    """Epoch, counted over all stages, and value."""
    indices = np.unique(np.linspace(0, len(curve) - 1, min(MAX_EPOCHS, len(curve))).round().astype(int))
    points = [(int(index) + 1, float(getattr(curve[index], field))) for index in indices]
    return tuple((epoch, value) for epoch, value in points if isfinite(value))


def _stage_breaks(groups: Sequence[RunGroup]) -> list[float]:
    """Epochs between two stages; none if the runs differ in them."""
    starts = {tuple(_stage_starts(record)) for group in groups for record in group}
    return [start + 0.5 for start in next(iter(starts))] if len(starts) == 1 else []


def _stage_starts(record: Record) -> list[int]:
    return [i for i in range(1, len(record.curve)) if record.curve[i].stage != record.curve[i - 1].stage]


def _stages_text(groups: Sequence[RunGroup]) -> str:
    """The stages of training in their order, with the runs if these differ."""
    names_by_stages: dict[str, list[str]] = {}
    for name, group in named_groups(groups):
        stages = " then ".join(dict.fromkeys(point.stage for point in group[0].curve))
        names_by_stages.setdefault(stages, []).append(name)
    return "Stages: " + "; ".join(
        f"{stages} ({', '.join(names)})" if len(names_by_stages) > 1 else stages
        for stages, names in names_by_stages.items()
    )


def _range_text(values: Sequence[float]) -> str:
    return f"{values[0]:.3g}" if len(values) == 1 else f"{values[0]:.3g} to {values[-1]:.3g}"

"""Learning curves of all runs and seeds of a protocol, side by side."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from fgbench.records.record import Point, Record
from fgbench.report.html.charts import MOST_SERIES, Axis, Chart
from fgbench.report.html.figures import Line, lines
from fgbench.report.html.groups import Group, Section, named, sections_of

MOST_PROTOCOLS = 2
"""Of one page: a chart takes a tenth of a second to draw, and every run has its own curve on the page of its paper."""
MOST_EPOCHS = 60
"""Points of a line; of more epochs, so many that are evenly apart."""


def learning_sections(groups: Sequence[Group]) -> list[Section]:
    """Loss and training accuracy by epoch, two charts a protocol; nothing of runs that were not trained by epochs."""
    trained = [group for group in groups if all(record.curve for record in group)]
    found, note = sections_of(trained, MOST_PROTOCOLS)
    sections = []
    for caption, own in found:
        shown = own[:MOST_SERIES]
        said = "" if len(own) == len(shown) else f"The first {len(shown)} of {len(own)} are drawn. "
        charts = [_chart(shown, "loss", "loss"), _chart(shown, "training accuracy, %", "accuracy")]
        sections.append(Section(caption, tuple(chart for chart in charts if chart), said + _stages(shown)))
    if note and sections:
        last = sections[-1]
        sections[-1] = Section(last.caption, last.charts, f"{last.note} {note}".strip())
    return sections


def _chart(groups: Sequence[Group], title: str, field: str) -> Chart | None:
    runs = []
    for name, group in named(groups):
        own = [Line(name, f"seed {record.seed}", _points(record.curve, field)) for record in group]
        # What one seed has of an epoch all have, or there is no mean of them.
        if own[0].points and len({tuple(at for at, _ in line.points) for line in own}) == 1:
            runs += own
    if not runs:
        return None
    first, last = (sorted({line.points[end][1] for line in runs}) for end in (0, -1))
    label = f"From {_span(first)} in the first epoch to {_span(last)} in the last, {len(runs)} runs."
    up = Axis(title, 0, 100) if title.endswith("%") else Axis(title)
    return lines(title.capitalize(), label, Axis("epoch, of all stages together"), up, runs, _breaks(groups))


def _points(curve: Sequence[Point], field: str) -> tuple[tuple[float, float], ...]:
    places = np.unique(np.linspace(0, len(curve) - 1, min(MOST_EPOCHS, len(curve))).round().astype(int))
    found = [(int(place) + 1, float(getattr(curve[place], field))) for place in places]
    return tuple((at, value) for at, value in found if isfinite(value))


def _breaks(groups: Sequence[Group]) -> list[float]:
    """Between two stages, where all that is drawn changes there."""
    found = {tuple(_changes(record)) for group in groups for record in group}
    return [place + 0.5 for place in next(iter(found))] if len(found) == 1 else []


def _changes(record: Record) -> list[int]:
    return [i for i in range(1, len(record.curve)) if record.curve[i].stage != record.curve[i - 1].stage]


def _stages(groups: Sequence[Group]) -> str:
    """What was trained one after the other."""
    found: dict[str, list[str]] = {}
    for name, group in named(groups):
        found.setdefault(" then ".join(dict.fromkeys(point.stage for point in group[0].curve)), []).append(name)
    return "Stages: " + "; ".join(
        f"{stages} ({', '.join(names)})" if len(found) > 1 else stages for stages, names in found.items()
    )


def _span(values: Sequence[float]) -> str:
    return f"{values[0]:.3g}" if len(values) == 1 else f"{values[0]:.3g} to {values[-1]:.3g}"

"""Learning curves as inline SVG."""

from collections.abc import Sequence

from markupsafe import Markup

from fgbench.records.record import Point
from fgbench.report.html.svg_panel import GROUND, LEFT, RIGHT, TOP, panel, polyline, upright


def learning_curve(points: Sequence[Point]) -> Markup:
    """Loss and training accuracy by epoch, the stages one after the other with a line between them."""
    if not points:
        return Markup("")
    loss = _panel("loss", [point.loss for point in points], points)
    accuracy = _panel("training accuracy, %", [point.accuracy for point in points], points)
    return Markup('<div class="curves">{}{}</div>').format(loss, accuracy)


def _panel(label: str, values: list[float], points: Sequence[Point]) -> Markup:
    low, high = min(0.0, *values), max(values) or 1.0
    span = high - low or 1.0

    def x(i: float) -> float:
        return LEFT + (RIGHT - LEFT) * (i / max(1, len(values) - 1))

    def y(value: float) -> float:
        return GROUND - (GROUND - TOP) * (value - low) / span

    starts = [i for i in range(1, len(points)) if points[i].stage != points[i - 1].stage]
    breaks = "".join(upright("break", x(i - 0.5)) for i in starts)
    stages = " then ".join(dict.fromkeys(point.stage for point in points))
    return panel(
        f"{label} over {len(points)} epochs ({stages}): from {values[0]:.3g} to {values[-1]:.3g}",
        label,
        breaks + polyline((x(i), y(value)) for i, value in enumerate(values)),
        [(y(v), f"{v:.3g}") for v in (low, (low + high) / 2, high)],
        [(LEFT, "start", "1"), (RIGHT, "end", f"epoch {len(points)}")],
    )

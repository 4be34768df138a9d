"""Learning curves as inline SVG."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from fgbench.records import Point

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 300, 130, 38, 22, 16


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
    right, ground = WIDTH - 8, HEIGHT - BOTTOM

    def x(i: float) -> float:
        return LEFT + (right - LEFT) * (i / max(1, len(values) - 1))

    def y(value: float) -> float:
        return ground - (ground - TOP) * (value - low) / span

    line = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(values))
    starts = [i for i in range(1, len(points)) if points[i].stage != points[i - 1].stage]
    breaks = "".join(
        f'<line class="break" x1="{x(i - 0.5):.1f}" x2="{x(i - 0.5):.1f}" y1="{TOP}" y2="{ground}"/>' for i in starts
    )
    stages = " then ".join(dict.fromkeys(point.stage for point in points))
    title = escape(f"{label} over {len(points)} epochs ({stages}): from {values[0]:.3g} to {values[-1]:.3g}")
    marks = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text class="tick" x="{LEFT - 5}" y="{y(v) + 3:.1f}" text-anchor="end">{v:.3g}</text>'
        for v in (low, (low + high) / 2, high)
    )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{title}</title>{marks}{breaks}'
        f'<polyline points="{line}"/>'
        f'<text class="label" x="{LEFT}" y="10">{escape(label)}</text>'
        f'<text class="tick" x="{LEFT}" y="{HEIGHT - 6}">1</text>'
        f'<text class="tick" x="{right}" y="{HEIGHT - 6}" text-anchor="end">epoch {len(points)}</text></svg>'
    )

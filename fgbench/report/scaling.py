"""Cost against size as inline SVG, both on logarithmic axes, with the fitted power."""

import math

from markupsafe import Markup, escape

from fgbench.report.curve import BOTTOM, HEIGHT, LEFT, TOP, WIDTH
from fgbench.report.speed import ScalingCurve, duration


def scaling_curve(curve: ScalingCurve) -> Markup:
    """The points of a curve joined by lines, with its exponent in words."""
    sizes, costs = (list(values) for values in zip(*curve.points, strict=True))
    right, ground = WIDTH - 18, HEIGHT - BOTTOM
    x, y = _axis(sizes, LEFT + 12, right), _axis(costs, ground - 6, TOP + 8)
    line = " ".join(f"{x(size):.1f},{y(cost):.1f}" for size, cost in curve.points)
    dots = "".join(f'<circle cx="{x(size):.1f}" cy="{y(cost):.1f}" r="2.6"/>' for size, cost in curve.points)
    marks = "".join(
        f'<line class="grid" x1="{LEFT + 8}" x2="{right}" y1="{y(cost):.1f}" y2="{y(cost):.1f}"/>'
        f'<text class="tick" x="{LEFT + 4}" y="{y(cost) + 3:.1f}" text-anchor="end">{escape(duration(cost))}</text>'
        for cost in dict.fromkeys((min(costs), max(costs)))
    )
    ticks = "".join(
        f'<text class="tick" x="{x(size):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{size:g}</text>' for size in sizes
    )
    power = "" if curve.exponent is None else f": grows with the power {curve.exponent:.2f}"
    title = escape(
        f"{curve.title}, {curve.axis} {sizes[0]:g} to {sizes[-1]:g}, "
        f"{duration(costs[0])} to {duration(costs[-1])}{power}"
    )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{title}</title>{marks}'
        f'<polyline points="{line}"/>{dots}{ticks}'
        f'<text class="label" x="{LEFT}" y="10">{escape(curve.axis)}</text></svg>'
    )


def _axis(values: list[float], start: float, end: float) -> "_Log":
    return _Log(math.log(min(values)), math.log(max(values)), start, end)


class _Log:
    """Where a value lies on a logarithmic axis; in the middle where all are the same."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.span, self.start, self.end = low, high - low, start, end

    def __call__(self, value: float) -> float:
        share = (math.log(value) - self.low) / self.span if self.span else 0.5
        return self.start + (self.end - self.start) * share

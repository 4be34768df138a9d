"""Cost against size as inline SVG, both on logarithmic axes, with the fitted power."""

import math

from markupsafe import Markup

from fgbench.report.html.speed_page import ScalingCurve, duration
from fgbench.report.html.svg_panel import GROUND, LEFT, RIGHT, TOP, panel, polyline


def scaling_curve(curve: ScalingCurve) -> Markup:
    """The points of a curve joined by lines, with its exponent in words."""
    sizes, costs = (list(values) for values in zip(*curve.points, strict=True))
    x, y = _axis(sizes, LEFT + 12, RIGHT - 10), _axis(costs, GROUND - 6, TOP + 8)
    points = [(x(size), y(cost)) for size, cost in curve.points]
    power = "" if curve.exponent is None else f": grows with the power {curve.exponent:.2f}"
    return panel(
        f"{curve.title}, {curve.axis} {sizes[0]:g} to {sizes[-1]:g}, "
        f"{duration(costs[0])} to {duration(costs[-1])}{power}",
        curve.axis,
        polyline(points) + "".join(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="2.6"/>' for across, up in points),
        [(y(cost), duration(cost)) for cost in dict.fromkeys((min(costs), max(costs)))],
        [(x(size), "middle", f"{size:g}") for size in sizes],
        left=LEFT + 8,
        right=RIGHT - 10,
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

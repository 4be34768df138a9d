"""The page on history: a line for every value and benchmark over the nights, with the steps that it shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from fgbench.judge.nightly.history import Night
from fgbench.report.html.model import Source
from fgbench.report.html.pages import Page
from fgbench.report.html.svg_panel import GROUND, LEFT, RIGHT, TOP, panel, polyline, upright
from fgbench.statistics.change_points import LevelShift, find_level_shifts

RECENT = 7
"""Nights that are shown unfolded."""


@dataclass(frozen=True, slots=True)
class Line:
    """A value or benchmark over the nights that have it."""

    name: str
    unit: str
    nights: tuple[int, ...]
    """Their numbers, from 0."""
    values: tuple[float, ...]
    failed: tuple[bool, ...]
    """Whether something was wrong with it that night."""
    breaks: tuple[int, ...]
    """Nights from which on it is another version or machine: what is before is not comparable."""
    steps: tuple[LevelShift, ...]
    """`at` counts the values of this line."""

    @property
    def still(self) -> bool:
        """Whether there is nothing to be seen in it."""
        return not any(self.failed) and min(self.values) == max(self.values)


def lines_of(nights: Sequence[Night]) -> tuple[list[Line], list[Line]]:
    """Lines of values, and of benchmarks (as multiples of the reference workload); those with steps first."""
    values = [
        _line(name, unit, [(k, n.values[name], name in n.failed, "") for k, n in enumerate(nights) if name in n.values])
        for name, unit in {name: unit for night in nights for name, unit in night.units.items()}.items()
    ]
    points: dict[str, list[tuple[int, float, bool, str]]] = {}
    titles: dict[str, str] = {}
    for k, night in enumerate(nights):
        for bench in night.benches:
            kind, titles[bench.name] = f"{bench.version} {bench.machine}", bench.title
            points.setdefault(bench.name, []).append((k, math.exp(bench.mean), bench.name in night.failed, kind))
    benches = [_line(titles[name], "times", own) for name, own in points.items()]
    return tuple(sorted(own, key=lambda line: not line.steps) for own in (values, benches))  # type: ignore[return-value]


def _line(name: str, unit: str, points: Sequence[tuple[int, float, bool, str]]) -> Line:
    nights, values, failed, kinds = zip(*points, strict=True)
    cuts = [k for k in range(1, len(kinds)) if kinds[k] != kinds[k - 1]]
    steps = []
    for start, end in zip([0, *cuts], [*cuts, len(kinds)], strict=True):
        for step in find_level_shifts(np.array(values[start:end])):
            steps.append(LevelShift(start + step.at, step.before, step.after, step.p))
    return Line(name, unit, nights, values, failed, tuple(nights[k] for k in cuts), tuple(steps))


def history_line(line: Line, count: int) -> Markup:
    """A line as inline SVG: dots where a night failed, dashed lines at steps and at new versions."""
    low, high = min(line.values), max(line.values)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room

    def x(night: float) -> float:
        return LEFT + 8 + (RIGHT - LEFT - 8) * (night / max(1, count - 1))

    def y(value: float) -> float:
        return GROUND - (GROUND - TOP) * (value - low) / (high - low)

    points = [(x(night), y(value)) for night, value in zip(line.nights, line.values, strict=True)]
    dots = "".join(
        f'<circle class="{"fault" if bad else "night"}" cx="{a:.1f}" cy="{b:.1f}" r="{3.4 if bad else 1.8}"/>'
        for (a, b), bad in zip(points, line.failed, strict=True)
    )
    marks = [upright("step", x(line.nights[step.at] - 0.5)) for step in line.steps]
    marks += [upright("break", x(night - 0.5)) for night in line.breaks]
    steps = "; ".join(f"a step to {step.after:.4g} at night {line.nights[step.at] + 1}" for step in line.steps)
    return panel(
        f"{line.name} over {len(line.values)} nights, {line.unit}: {steps or 'no step'}",
        line.unit,
        "".join(marks) + polyline(points) + dots,
        [(y(v), f"{v:.4g}") for v in dict.fromkeys((min(line.values), max(line.values)))],
        [(LEFT + 8, "start", "1"), (RIGHT, "end", f"night {count}")],
        left=LEFT + 6,
    )


def history_page(nights: Sequence[Night]) -> Page:
    """The page of some nights, the oldest first."""
    values, benches = lines_of(nights)
    machines = " and ".join(dict.fromkeys(bench.machine for night in nights for bench in night.benches))
    timed = f", timed on {machines}" if machines else ""
    told = f"{len(nights)} nights{timed}. These numbers tell of change, and answer no printed one."
    numbered = list(enumerate(nights, start=1))
    context = {"nights": nights, "values": values, "benches": benches, "draw": history_line}
    context |= {"recent": numbered[-RECENT:], "older": numbered[:-RECENT]}
    return Page("history", "History", "history.html.j2", Source(False, told), context=context)

"""Places for the names beside the points of a chart, so that no name covers a point or another name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin

FONT_PX, LINE_PX = 9.0, 11.0
"""Size of a name and of its lines."""
POINT_PX = 5.0
"""Half of the side of the square around a point that no name covers."""
GAP_PX = 2.5
"""Free space around a name."""
DISTANCES_PX = (7, 12, 18, 26, 36, 48, 62, 78)
"""Distances between a point and its name that are tried, nearest first."""
ANGLES = tuple(2 * pi * number / 16 for number in (0, 1, 15, 2, 14, 8, 7, 9, 3, 13, 4, 12, 5, 11, 6, 10))
"""Directions from a point to its name that are tried: to the right first."""
NARROW, BROAD = "iljtfrI .,:;|'()[]-1", "mwMW@%+"
"""Characters that are narrower and broader than the others in Arial."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in px; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box", gap: float = 0.0) -> bool:
        """Return True if two rectangles are closer than a gap in px."""
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.top < other.bottom + gap
            and other.top < self.bottom + gap
        )

    def is_crossed(self, start: tuple[float, float], end: tuple[float, float]) -> bool:
        """Return True if a line from `start` to `end` (x, y) crosses the rectangle. Points of the line are tried."""
        steps = [number / 12 for number in range(13)]
        places = [(start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])) for t in steps]
        return any(self.left <= x <= self.right and self.top <= y <= self.bottom for x, y in places)


def text_size(text: str) -> tuple[float, float]:
    """Return the width and height in px of a name in Arial, rounded up; a name may have several lines."""
    lines = text.split("\n")
    return max(map(_line_width, lines)), LINE_PX * len(lines)


def _line_width(line: str) -> float:
    ems = (0.36 if c in NARROW else 0.9 if c in BROAD else 0.74 if c.isupper() else 0.58 for c in line)
    return FONT_PX * sum(ems)


def place_labels(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    width: float,
    height: float,
    others: Sequence[tuple[float, float]] = (),
    lines: Sequence[Box] = (),
) -> list[Box | None]:
    """Return a place for the name of each point; None if there is no free place.

    Names that come first have the choice of the places.

    Args:
        points: x, y of each point in px.
        names: name of each point.
        width: width of the plot in px.
        height: height of the plot in px.
        others: x, y of points without a name.
        lines: lines that a name covers only if there is no other place.
    """
    marks = [Box(x - POINT_PX, y - POINT_PX, x + POINT_PX, y + POINT_PX) for x, y in (*points, *others)]
    placed: list[Box | None] = []
    leaders: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for point, name in zip(points, names, strict=True):
        taken = [box for box in placed if box]
        free = [
            box
            for box in _candidates(point, text_size(name))
            if box.left >= 0 and box.right <= width and box.top >= 0 and box.bottom <= height
            if not any(box.overlaps(mark) for mark in marks)
            if not any(box.overlaps(other, GAP_PX) for other in taken)
            if not any(other.is_crossed(point, nearest_place(box, point)) for other in taken)
            if not any(box.is_crossed(*leader) for leader in leaders)
        ]
        clear = (box for box in free if not any(box.overlaps(line) for line in lines))
        chosen = next(clear, free[0] if free else None)
        if chosen:
            leaders.append((point, nearest_place(chosen, point)))
        placed.append(chosen)
    return placed


def nearest_place(box: Box, point: tuple[float, float]) -> tuple[float, float]:
    """Return the place of a rectangle that is nearest to a point."""
    return min(max(point[0], box.left), box.right), min(max(point[1], box.top), box.bottom)


def distance(box: Box, point: tuple[float, float]) -> float:
    """Return the distance in px between a rectangle and a point."""
    x, y = nearest_place(box, point)
    return hypot(x - point[0], y - point[1])


def _candidates(point: tuple[float, float], size: tuple[float, float]) -> Iterator[Box]:
    """Yield rectangles around a point, nearest first. The side or corner towards the point is on a circle."""
    for radius in DISTANCES_PX:
        for angle in ANGLES:
            across, down = cos(angle), sin(angle)
            left = point[0] + radius * across - size[0] * (1 - across) / 2
            top = point[1] + radius * down - size[1] * (1 - down) / 2
            yield Box(left, top, left + size[0], top + size[1])

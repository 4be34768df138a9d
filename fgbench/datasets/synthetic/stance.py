"""Posture of a person relative to the camera, and a brush that draws in body coordinates."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from fgbench.datasets.synthetic.persons import Colour

Point = tuple[float, float, float]
"""Body coordinates in body heights: to the person's left, down from the top of the head, forward."""
PITCH = 0.16
"""The camera looks down: a point that is nearer by d appears lower by `PITCH` x d."""


@dataclass(frozen=True, slots=True)
class Stance:
    """Position and posture of a person relative to the camera."""

    turn: float
    """Direction in radians: 0 faces the camera, pi faces away, pi/2 walks to the right of the image."""
    phase: float
    """Phase of the stride in radians."""
    stride: float
    """Largest angle of the thighs in radians."""
    x: float
    """Horizontal position of the body's middle in pixels."""
    y: float
    """Vertical position of the top of the head in pixels."""
    height: float
    """Body height in pixels."""
    light: float
    """Direction of the light, from -1 (left) to 1 (right)."""

    def place(self, point: Point) -> np.ndarray:
        """Return x, y in pixels of a point of the body."""
        side, down, forward = point
        across = side * np.cos(self.turn) + forward * np.sin(self.turn)
        return np.array([self.x + across * self.height, self.y + (down + PITCH * self.nearness(point)) * self.height])

    def nearness(self, point: Point) -> float:
        """Return how much nearer to the camera a point is than the body's middle, in body heights."""
        return float(point[2] * np.cos(self.turn) - point[0] * np.sin(self.turn))


class PersonBrush:
    """Draws on a layer and records the drawn area in a mask.

    Attributes:
        stance: posture of the person; it maps body coordinates to pixels.
        layer: the drawing.
        mask: 255 where the layer is drawn.
    """

    def __init__(self, stance: Stance, canvas: tuple[int, int]) -> None:
        self.stance = stance
        self.layer, self.mask = Image.new("RGB", canvas), Image.new("L", canvas)
        self._colour, self._outline = ImageDraw.Draw(self.layer), ImageDraw.Draw(self.mask)

    def fill(self, corners: np.ndarray, colour: Colour) -> None:
        """Draw a polygon with corners (n, 2) in pixels."""
        points = [(float(x), float(y)) for x, y in corners]
        self._colour.polygon(points, fill=colour)
        self._outline.polygon(points, fill=255)

    def oval(self, centre: np.ndarray, radii: tuple[float, float], colour: Colour) -> None:
        """Draw an ellipse around a point in pixels, with horizontal and vertical radius in body heights."""
        width, height = (radius * self.stance.height for radius in radii)
        box = (centre[0] - width, centre[1] - height, centre[0] + width, centre[1] + height)
        self._colour.ellipse(box, fill=colour)
        self._outline.ellipse(box, fill=255)

    def limb(self, ends: tuple[Point, Point], radii: tuple[float, float], colour: Colour) -> None:
        """Draw a tapered limb between two points of the body, lighter towards the light; radii in body heights."""
        (first, second), (one, two) = (self.stance.place(end) for end in ends), radii
        along = second - first
        normal = np.array([-along[1], along[0]]) / max(1e-6, float(np.hypot(*along))) * self.stance.height
        for shift, width, factor in ((0.0, 1.0, 0.86), (0.3 * self.stance.light, 0.62, 1.06)):
            shade = shaded(colour, factor)
            move = np.array([shift * one * self.stance.height, 0.0])
            a, b = first + move, second + move
            w1, w2 = one * width, two * width
            self.fill(np.array([a + normal * w1, b + normal * w2, b - normal * w2, a - normal * w1]), shade)
            self.oval(a, (w1, w1), shade)
            self.oval(b, (w2, w2), shade)

    def paste_inside(self, corners: np.ndarray, paint: Image.Image, mask: Image.Image) -> None:
        """Paste `paint`, where `mask` is set, into the polygon with corners (n, 2) in pixels."""
        stencil = Image.new("L", self.layer.size)
        ImageDraw.Draw(stencil).polygon([(float(x), float(y)) for x, y in corners], fill=255)
        self.layer.paste(paint, mask=ImageChops.multiply(stencil, mask))


def shaded(colour: Colour, factor: float) -> Colour:
    """Return the colour multiplied by `factor`, at most 255."""
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def moved(points: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return points (..., 2) moved by x and y pixels."""
    result: np.ndarray = points + np.array([x, y])
    return result

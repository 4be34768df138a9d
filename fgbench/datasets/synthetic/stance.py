"""How a person stands to the camera, and a brush that paints where the body's parts are."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from fgbench.datasets.synthetic.persons import Colour

Point = tuple[float, float, float]
"""To the person's left, down from the top of the head, forward; in body heights."""
PITCH = 0.16
"""The camera looks down: what is nearer lies lower in the image by this share of its distance."""


@dataclass(frozen=True, slots=True)
class Stance:
    """How a person stands to the camera."""

    turn: float
    """Radians; 0 looks into the camera, pi away from it, pi/2 walks to the right of the image."""
    phase: float
    """Of the stride, in radians."""
    stride: float
    """Largest angle of the thighs in radians."""
    x: float
    """Of the body's middle, in pixels."""
    y: float
    """Of the top of the head, in pixels."""
    height: float
    """Of the body in pixels."""
    light: float
    """Where the light comes from, -1 left to 1 right."""

    def place(self, point: Point) -> np.ndarray:
        """A point of the body in pixels."""
        side, down, forward = point
        across = side * np.cos(self.turn) + forward * np.sin(self.turn)
        return np.array([self.x + across * self.height, self.y + (down + PITCH * self.near(point)) * self.height])

    def near(self, point: Point) -> float:
        """How much nearer to the camera than the body's middle."""
        return float(point[2] * np.cos(self.turn) - point[0] * np.sin(self.turn))


class Brush:
    """Draws on a layer and keeps the outline of all that it drew."""

    def __init__(self, stance: Stance, canvas: tuple[int, int]) -> None:
        self.stance = stance
        self.layer, self.mask = Image.new("RGB", canvas), Image.new("L", canvas)
        self._colour, self._outline = ImageDraw.Draw(self.layer), ImageDraw.Draw(self.mask)

    def fill(self, corners: np.ndarray, colour: Colour) -> None:
        """A polygon of pixels (n, 2)."""
        points = [(float(x), float(y)) for x, y in corners]
        self._colour.polygon(points, fill=colour)
        self._outline.polygon(points, fill=255)

    def oval(self, centre: np.ndarray, radii: tuple[float, float], colour: Colour) -> None:
        """An ellipse; the radii in body heights."""
        width, height = (radius * self.stance.height for radius in radii)
        box = (centre[0] - width, centre[1] - height, centre[0] + width, centre[1] + height)
        self._colour.ellipse(box, fill=colour)
        self._outline.ellipse(box, fill=255)

    def limb(self, ends: tuple[Point, Point], radii: tuple[float, float], colour: Colour) -> None:
        """A tapered limb, lighter towards the light; the radii in body heights."""
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

    def inside(self, corners: np.ndarray, paint: Image.Image, mask: Image.Image) -> None:
        """Put a drawing where it lies inside a polygon."""
        stencil = Image.new("L", self.layer.size)
        ImageDraw.Draw(stencil).polygon([(float(x), float(y)) for x, y in corners], fill=255)
        self.layer.paste(paint, mask=ImageChops.multiply(stencil, mask))


def shaded(colour: Colour, factor: float) -> Colour:
    """A lighter or darker colour."""
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def moved(points: np.ndarray, x: float, y: float) -> np.ndarray:
    """Points of an image (..., 2) moved by pixels."""
    there: np.ndarray = points + np.array([x, y])
    return there

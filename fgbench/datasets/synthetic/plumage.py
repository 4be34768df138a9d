"""Draw the plumage of a bird: shapes in body coordinates, posed and coloured.

Body coordinates are in body lengths from the middle of the body, y down, for a bird that faces right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from fgbench.datasets.synthetic.species import ACCENTS, Colour, Species

_Shade = Callable[..., Colour]
"""Function (colour, factor=1) -> colour in the light of this image."""
NECK = np.array([0.27, -0.08])
"""Centre of the head's rotation in body coordinates."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Position and posture of an individual."""

    centre: np.ndarray
    """Middle of the body, x and y in pixels."""
    scale: float
    """Body length in pixels."""
    tilt: float
    """Rotation of the body in radians; positive raises the bill."""
    nod: float
    """Rotation of the head relative to the body in radians."""
    faces_left: bool
    """True if the bird faces left in the image."""
    wing: float
    """Position of the wing, from 0 (folded) to 1 (raised)."""
    stretch: float
    """Foreshortening of the body length, 0.75 to 1."""

    def place(self, points: np.ndarray, *, head: bool = False) -> np.ndarray:
        """Convert body coordinates (..., 2) to pixels. `head` also applies the rotation of the head."""
        if head:
            points = _rotate(points - NECK, self.nod) + NECK
        points = _rotate(points * (self.stretch, 1.0), self.tilt) * self.scale
        placed: np.ndarray = points * ((-1 if self.faces_left else 1), 1) + self.centre
        return placed


def _rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Rotate points (..., 2) about the origin."""
    cosine, sine = np.cos(angle), np.sin(angle)
    rotated: np.ndarray = points @ np.array([[cosine, -sine], [sine, cosine]])
    return rotated


def _smooth(points: list[tuple[float, float]], steps: int = 8) -> np.ndarray:
    """Return a closed Catmull-Rom curve through n points, (steps * n, 2)."""
    p = np.array(points)
    before, after, second = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    p, before, after, second = (a[:, None] for a in (p, before, after, second))
    curve = 2 * p + (after - before) * t + (2 * before - 5 * p + 4 * after - second) * t**2
    curve = curve + (3 * p - before - 3 * after + second) * t**3
    smooth: np.ndarray = (0.5 * curve).reshape(-1, 2)
    return smooth


class _BirdBrush:
    """Draws shapes in body coordinates on a layer, and records the drawn area in a mask."""

    def __init__(self, pose: Pose, canvas: tuple[int, int]) -> None:
        self.pose = pose
        self.layer, self.mask = Image.new("RGB", canvas), Image.new("L", canvas)
        self._colour, self._outline = ImageDraw.Draw(self.layer), ImageDraw.Draw(self.mask)

    def fill(self, points: np.ndarray, colour: Colour, *, head: bool = False) -> None:
        """Draw a polygon with corners (n, 2)."""
        corners = [tuple(point) for point in self.pose.place(np.asarray(points, dtype=float), head=head)]
        self._colour.polygon(corners, fill=colour)
        self._outline.polygon(corners, fill=255)

    def dot(self, point: tuple[float, float], radius: float, colour: Colour, *, head: bool = False) -> None:
        """Draw a circle; `radius` in body lengths."""
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        self.fill(np.array(point) + radius * np.stack([np.cos(turn), np.sin(turn)], 1), colour, head=head)

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        """Draw a polyline; `width` in body lengths."""
        corners = [tuple(point) for point in self.pose.place(np.array(points))]
        pixels = max(1, round(width * self.pose.scale))
        self._colour.line(corners, fill=colour, width=pixels, joint="curve")
        self._outline.line(corners, fill=255, width=pixels, joint="curve")

    def paste_inside(self, shape: np.ndarray, paint: "_BirdBrush") -> None:
        """Paste the drawing of another brush into a polygon (n, 2) of this layer."""
        stencil = Image.new("L", self.layer.size)
        ImageDraw.Draw(stencil).polygon([tuple(p) for p in self.pose.place(shape)], fill=255)
        self.layer.paste(paint.layer, mask=ImageChops.multiply(stencil, paint.mask))


def _body(plump: float) -> np.ndarray:
    """Return the outline of the body, (n, 2)."""
    low = 0.20 + 0.07 * plump
    return _smooth(
        [(0.40, -0.17), (0.27, -0.26), (0.05, -0.24 - 0.04 * plump), (-0.25, -0.14), (-0.52, 0.03), (-0.44, 0.10),
         (-0.2, low - 0.03), (0.05, low), (0.26, 0.13 + 0.05 * plump), (0.39, -0.02)]
    )  # fmt: skip


def _tail(bird: Species) -> np.ndarray:
    """Return the outline of the tail, (5, 2)."""
    tip = -0.46 - bird.tail_length
    notch = tip + bird.tail_fork * bird.tail_length
    return np.array([(-0.36, -0.06), (tip, 0.01), (notch, 0.065), (tip, 0.13), (-0.38, 0.1)])


def wing_outline(raised: float) -> np.ndarray:
    """Return the outline of the near wing, (n, 2), for a wing between folded (0) and raised (1)."""
    folded = np.array(
        [(0.2, -0.13), (0.0, -0.19), (-0.3, -0.12), (-0.62, 0.06), (-0.3, 0.07), (-0.02, 0.1), (0.16, 0.02)]
    )
    lifted = np.array(
        [(0.16, -0.12), (0.1, -0.4), (-0.12, -0.72), (-0.42, -0.8), (-0.36, -0.5), (-0.22, -0.2), (0.0, -0.04)]
    )
    return _smooth([tuple(point) for point in folded + raised * (lifted - folded)])


def _band_across(shape: np.ndarray, fraction: float, width: float) -> np.ndarray:
    """Return a band (4, 2) across a wing, at a fraction of the way from its root to its tip."""
    root, tip = shape[0], shape[np.argmax(((shape - shape[0]) ** 2).sum(1))]
    along = tip - root
    middle, normal = root + fraction * along, np.array([-along[1], along[0]])
    step = along / np.linalg.norm(along) * width
    slant = 0.25 * along
    return np.array([middle - normal + slant, middle + normal, middle + normal + step, middle - normal + slant + step])


def plumage(
    bird: Species, pose: Pose, canvas: tuple[int, int], rng: np.random.Generator
) -> tuple[Image.Image, Image.Image]:
    """Draw a bird without background.

    Args:
        bird: the species.
        pose: position and posture.
        canvas: width and height of the image in pixels.
        rng: generator of the individual's colour and pattern.

    Returns:
        The drawing, and its mask (255 on the bird).
    """
    tone = rng.normal(0, 5, 3)

    def shade(colour: Colour, factor: float = 1.0) -> Colour:
        red, green, blue = (int(np.clip(v * factor + t, 0, 255)) for v, t in zip(colour, tone, strict=True))
        return red, green, blue

    # From back to front: far wing, legs, tail, body, near wing, head.
    brush = _BirdBrush(pose, canvas)
    body, wing = _body(bird.plump), wing_outline(pose.wing)
    if pose.wing:
        brush.fill(wing + np.array([0.1, 0.02]), shade(bird.wing, 0.7))
    _legs(brush, bird, shade)
    tail = _tail(bird)
    brush.fill(tail, shade(bird.wing, 0.9))
    if bird.tail_band != "none":
        band = tail.copy()
        band[[0, 4]] = tail[[1, 3]] * 0.75 + tail[[0, 4]] * 0.25
        brush.fill(band, shade(ACCENTS[bird.tail_band]))
    brush.fill(body, shade(bird.back))
    _underside(brush, bird, body, pose, canvas, shade, rng)
    brush.fill(wing, shade(bird.wing))
    feathers = _BirdBrush(pose, canvas)
    for fraction in np.linspace(0.35, 0.95, 6):
        feathers.fill(_band_across(wing, float(fraction), 0.012), shade(bird.wing, 0.72))
    for bar in range(bird.wing_bars):
        feathers.fill(_band_across(wing, 0.24 + 0.14 * bar, 0.045), shade(ACCENTS[bird.wing_bar]))
    brush.paste_inside(wing, feathers)
    _head(brush, bird, shade)
    return _add_light(brush, pose, rng), brush.mask


def _legs(brush: _BirdBrush, bird: Species, shade: _Shade) -> None:
    for offset, factor in ((0.1, 0.75), (-0.02, 1.0)):
        brush.line([(offset - 0.04, 0.16), (offset, 0.28), (offset - 0.02, 0.36)], 0.022, shade(bird.leg, factor))
        for toe in (-0.06, 0.05, 0.09):
            brush.line([(offset - 0.02, 0.36), (offset + toe, 0.375)], 0.016, shade(bird.leg, factor))


def _underside(
    brush: _BirdBrush,
    bird: Species,
    body: np.ndarray,
    pose: Pose,
    canvas: tuple[int, int],
    shade: _Shade,
    rng: np.random.Generator,
) -> None:
    """Draw belly and breast with the pattern of the breast."""
    paint = _BirdBrush(pose, canvas)
    paint.fill(
        _smooth([(0.46, -0.08), (0.2, 0.0), (-0.1, 0.07), (-0.5, 0.08), (-0.2, 0.45), (0.4, 0.3)]), shade(bird.belly)
    )
    dark = shade(bird.back, 0.6)
    if bird.breast == "banded":
        paint.fill(np.array([(0.16, -0.05), (0.24, -0.06), (0.34, 0.3), (0.22, 0.3)]), dark)
    elif bird.breast != "plain":
        for x in np.arange(-0.12, 0.36, 0.065):
            for y in np.arange(0.0, 0.28, 0.062):
                at = (float(x + rng.normal(0, 0.01)), float(y + 0.03 * (x > 0.1) + rng.normal(0, 0.01)))
                if bird.breast == "spotted":
                    paint.dot(at, 0.017, dark)
                else:
                    paint.line([at, (at[0] - 0.045, at[1] + 0.03)], 0.016, dark)
    brush.paste_inside(body, paint)


def _head(brush: _BirdBrush, bird: Species, shade: _Shade) -> None:
    """Draw bill, crest, head, crown, throat, brow and eye."""
    length, depth = bird.bill_length, bird.bill_depth
    middle = -0.2
    bill = [
        (0.5, middle - depth / 2 - 0.01),
        (0.53 + 0.6 * length, middle - 0.2 * depth),
        (0.53 + length, middle + 0.02),
    ]
    if bird.bill_hooked:
        bill.append((0.52 + length, middle + 0.05))
    bill += [(0.53 + 0.6 * length, middle + 0.3 * depth + 0.01), (0.49, middle + depth / 2 + 0.01)]
    brush.fill(np.array(bill), shade(bird.bill), head=True)
    if bird.crest:
        colour = bird.head if bird.crown == "plain" else ACCENTS[bird.crown]
        brush.fill(np.array([(0.44, -0.36), (0.3, -0.4), (0.14, -0.5), (0.24, -0.28)]), shade(colour, 0.95), head=True)
    brush.fill(
        _smooth(
            [(0.53, -0.2), (0.48, -0.33), (0.36, -0.38), (0.24, -0.32), (0.18, -0.16), (0.26, -0.03), (0.42, -0.06)]
        ),
        shade(bird.head),
        head=True,
    )
    if bird.crown != "plain":
        brush.fill(
            _smooth([(0.505, -0.29), (0.46, -0.35), (0.36, -0.385), (0.25, -0.335), (0.21, -0.26), (0.35, -0.315)]),
            shade(ACCENTS[bird.crown]),
            head=True,
        )
    if bird.throat != "plain":
        brush.fill(
            _smooth([(0.5, -0.15), (0.42, -0.145), (0.3, -0.1), (0.27, -0.02), (0.4, -0.03)]),
            shade(ACCENTS[bird.throat]),
            head=True,
        )
    if bird.brow != "none":
        stripe = np.array([(0.5, -0.275), (0.4, -0.315), (0.24, -0.27), (0.25, -0.245), (0.4, -0.285), (0.5, -0.255)])
        brush.fill(stripe, shade(ACCENTS[bird.brow]), head=True)
    if bird.eye_ring != "none":
        brush.dot((0.41, -0.235), 0.042, shade(ACCENTS[bird.eye_ring]), head=True)
    brush.dot((0.41, -0.235), 0.027, (24, 20, 20), head=True)
    brush.dot((0.418, -0.243), 0.008, (236, 236, 232), head=True)


def _add_light(brush: _BirdBrush, pose: Pose, rng: np.random.Generator) -> Image.Image:
    """Add light from above and the grain of feathers."""
    width, height = brush.layer.size
    y = (np.arange(height)[:, None] - pose.centre[1]) / pose.scale
    light = 1.08 - 0.38 * np.clip(y, -0.6, 0.6)
    coarse = rng.normal(0, 0.07, (max(2, height // 6), max(2, width // 6)))
    grain = Image.fromarray(coarse.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(brush.layer, dtype=np.float32) * (light + np.asarray(grain))[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

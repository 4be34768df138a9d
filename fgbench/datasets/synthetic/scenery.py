"""Background, perch and foreground of the synthetic birds. Nothing in this module depends on the species."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Occlusion = Callable[[float, float], bool]
"""Function (x, y) -> True if this pixel of the canvas is occluded."""

BACKGROUND_COLOURS = (
    ((150, 178, 204), (206, 216, 222)),  # sky
    ((84, 110, 58), (150, 164, 96)),  # leaves
    ((108, 98, 70), (164, 152, 116)),  # ground
    ((70, 96, 108), (132, 152, 156)),  # water
    ((188, 186, 178), (222, 220, 212)),  # overcast
    ((52, 62, 44), (96, 108, 72)),  # forest
)
"""Pairs of colours at the top and bottom of a background."""


def backdrop(canvas: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draw a blurred background: a colour gradient, spots and branches."""
    width, height = canvas
    top, bottom = (
        np.array(colour) + rng.normal(0, 12, 3)
        for colour in BACKGROUND_COLOURS[int(rng.integers(len(BACKGROUND_COLOURS)))]
    )
    if rng.random() < 0.5:
        top, bottom = bottom, top
    ramp = np.linspace(0, 1, 24)[:, None, None]
    coarse = np.clip(top * (1 - ramp) + bottom * ramp + rng.normal(0, 9, (24, 24, 3)), 0, 255).astype(np.uint8)
    picture = Image.fromarray(coarse).resize(canvas, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 14))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.02, 0.12) * width
        colour = tuple(int(v) for v in np.clip((top + bottom) / 2 + rng.normal(0, 26, 3), 0, 255))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    for _ in range(int(rng.integers(0, 4))):
        ends = [(rng.uniform(0, width), rng.uniform(0, height)) for _ in range(2)]
        colour = tuple(int(v) for v in np.clip(bottom * 0.6 + rng.normal(0, 12, 3), 0, 255))
        draw.line(ends, fill=colour, width=int(rng.uniform(0.01, 0.04) * width))
    # Blurring a small image and enlarging it looks like a wide blur, and is much faster.
    small = picture.resize((max(1, width // 6), max(1, height // 6)), Image.Resampling.BOX)
    return small.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 2.2))).resize(canvas, Image.Resampling.BICUBIC)


def perch(picture: Image.Image, feet: np.ndarray, scale: float, rng: np.random.Generator) -> None:
    """Draw a branch under the feet, in three of four images."""
    draw = ImageDraw.Draw(picture)
    brown = np.array([104, 84, 62]) + rng.normal(0, 14, 3)
    if rng.random() < 0.25:
        return
    slope, width = rng.normal(0, 0.18), max(3, int(scale * rng.uniform(0.05, 0.11)))
    ends = [(x, feet[1] + width / 2 + slope * (x - feet[0])) for x in (-10.0, picture.width + 10.0)]
    for shift, factor in ((0.0, 0.72), (-0.28, 1.0), (-0.4, 1.2)):
        colour = tuple(int(v) for v in np.clip(brown * factor, 0, 255))
        thickness = max(1, int(width * (1 + shift) * (0.5 if factor > 1.1 else 1)))
        draw.line([(x, y + shift * width * 0.6) for x, y in ends], fill=colour, width=thickness)


def foreground(picture: Image.Image, centre: np.ndarray, scale: float, rng: np.random.Generator) -> Occlusion:
    """Draw leaves in front of the bird, in 30 % of the images. Return where they occlude it."""
    cover = Image.new("L", picture.size)
    if rng.random() < 0.3:
        draw, hide = ImageDraw.Draw(picture), ImageDraw.Draw(cover)
        green = np.array([82, 112, 52]) + rng.normal(0, 16, 3)
        for _ in range(int(rng.integers(1, 4))):
            at = centre + rng.normal(0, 0.42, 2) * scale
            turn, length = rng.uniform(0, 2 * np.pi), scale * rng.uniform(0.12, 0.28)
            along = np.array([np.cos(turn), np.sin(turn)]) * length
            side = np.array([-along[1], along[0]]) * 0.28
            leaf = [tuple(p) for p in (at - along, at - along * 0.2 + side, at + along, at - along * 0.2 - side)]
            colour = tuple(int(v) for v in np.clip(green * rng.uniform(0.7, 1.2), 0, 255))
            draw.polygon(leaf, fill=colour)
            hide.polygon(leaf, fill=255)
            vein = tuple(int(v * 0.8) for v in colour)
            draw.line([leaf[0], leaf[2]], fill=vein, width=max(1, int(scale * 0.008)))
    hidden = np.asarray(cover)
    return lambda x, y: bool(hidden[int(y), int(x)])

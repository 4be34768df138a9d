"""Cameras and streets of the synthetic pedestrians. Nothing in this module depends on the person in the image."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fgbench.datasets.synthetic.persons import Colour

GROUND_COLOURS: tuple[Colour, ...] = (
    (168, 164, 156), (150, 150, 152), (178, 172, 160), (134, 134, 134), (158, 158, 148), (172, 176, 178),
)  # fmt: skip
BACKGROUND_COLOURS: tuple[Colour, ...] = (
    (120, 116, 110), (92, 108, 84), (150, 112, 92), (168, 170, 170), (76, 94, 68), (98, 108, 128),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Camera:
    """Place, direction and image quality of a camera."""

    ground: Colour
    """Typical colour of the pavement."""
    background: Colour
    """Typical colour of the region above the ground."""
    horizon: float
    """Upper end of the ground as a fraction of the image height."""
    tiles: float
    """Distance between the joints of the pavement in image widths; 0 for no joints."""
    turn: float
    """Mean walking direction in radians."""
    spread: float
    """Standard deviation of the walking direction in radians."""
    light: float
    """Direction of the light, from -1 (left) to 1 (right)."""
    cast: tuple[float, float, float]
    """Gain of red, green and blue."""
    gamma: float
    """Exponent of the pixel values in [0, 1]."""
    contrast: float
    """Factor of the difference from grey."""
    blur: float
    """Radius of the blur in pixels."""
    coarse: float
    """Resolution as a fraction of the full resolution."""
    noise: float
    """Standard deviation of the sensor noise, with white at 1."""
    shift: tuple[float, float]
    """Mean offset of the detected boxes to the right and down, in image sizes."""
    quality: int
    """JPEG quality of the files."""


def camera_of(seed: int, number: int) -> Camera:
    """Return the camera of a number, from 1. Consecutive numbers see persons from different sides."""
    rng = np.random.default_rng((seed, 2, number))
    ground, background = (
        GROUND_COLOURS[(number + seed) % len(GROUND_COLOURS)],
        BACKGROUND_COLOURS[(number + seed) % len(BACKGROUND_COLOURS)],
    )
    warm, green = rng.normal(0, 0.04), rng.normal(0, 0.02)
    level = rng.uniform(0.9, 1.1)
    return Camera(
        ground=ground,
        background=background,
        horizon=float(rng.uniform(0.05, 0.45)),
        tiles=float(rng.choice([0.0, 0.35, 0.6])),
        turn=float((number * 2.4 + rng.uniform(-0.4, 0.4)) % (2 * np.pi)),
        spread=float(rng.uniform(0.5, 1.1)),
        light=float(rng.uniform(-1, 1)),
        cast=(float(level * (1 + warm)), float(level * (1 + green)), float(level * (1 - warm))),
        gamma=float(rng.uniform(0.88, 1.15)),
        contrast=float(rng.uniform(0.85, 1.05)),
        blur=float(rng.uniform(0.2, 0.8)),
        coarse=0.55 if number % 6 == 0 else float(rng.uniform(0.75, 1.0)),
        noise=float(rng.uniform(0.01, 0.03)),
        shift=(float(rng.normal(0, 0.03)), float(rng.normal(0, 0.02))),
        quality=int(rng.integers(70, 92)),
    )


def _near(colour: Colour, rng: np.random.Generator, spread: float = 10.0) -> Colour:
    """Return a random colour near `colour`; lightness varies more than hue."""
    vary = rng.normal(0, spread) + rng.normal(0, 0.35 * spread, 3)
    red, green, blue = (int(np.clip(value + change, 0, 255)) for value, change in zip(colour, vary, strict=True))
    return red, green, blue


def _choose(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    """Return a random element of `colours`."""
    return colours[int(rng.integers(len(colours)))]


def street(camera: Camera, canvas: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draw the scene without the person: ground, background and distant passers-by."""
    width, height = canvas[0] // 3, canvas[1] // 3  # the scene is out of focus
    picture = Image.new("RGB", (width, height), _near(camera.ground, rng, 14))
    draw = ImageDraw.Draw(picture)
    horizon = int(height * np.clip(camera.horizon + rng.normal(0, 0.06), 0, 0.6))
    draw.rectangle(
        (0, 0, width, horizon),
        fill=_near(_choose(BACKGROUND_COLOURS, rng) if rng.random() < 0.5 else camera.background, rng, 16),
    )
    for _ in range(int(rng.integers(1, 5))):
        x, w = rng.uniform(-0.2, 1) * width, rng.uniform(0.1, 0.5) * width
        top = rng.uniform(-0.3, 0.7) * horizon
        draw.rectangle((x, top, x + w, horizon), fill=_near(_choose(BACKGROUND_COLOURS, rng), rng, 24))
    if camera.tiles:
        slope, step = rng.normal(0, 0.25), camera.tiles * width
        joint = _near(camera.ground, rng, 4)
        joint = (int(joint[0] * 0.86), int(joint[1] * 0.86), int(joint[2] * 0.86))
        for n in range(-2, int(height / step) + 3):
            y = horizon + step * (n + rng.uniform(-0.05, 0.05))
            if y > horizon:
                draw.line((0, y, width, y + slope * width), fill=joint, width=1)
        for n in range(-2, 5):
            x = step * n + rng.uniform(0, 4)
            draw.line((x, horizon, x + (x - width / 2) * 0.6, height), fill=joint, width=1)
    for _ in range(int(rng.integers(0, 3))):
        x, foot = rng.uniform(0, width), horizon + rng.uniform(0.0, 0.4) * (height - horizon)
        tall = (foot - horizon) * 0.5 + 0.2 * height
        for part, (top, bottom, half) in enumerate(((1.0, 0.86, 0.05), (0.85, 0.45, 0.11), (0.48, 0.0, 0.08))):
            colour = _near(((190, 150, 124), (110, 104, 108), (60, 62, 74))[part], rng, (12, 44, 24)[part])
            draw.rectangle((x - half * tall, foot - top * tall, x + half * tall, foot - bottom * tall), fill=colour)
    blurred = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 1.1))))
    return blurred.resize(canvas, Image.Resampling.BILINEAR)


def add_shadow(picture: Image.Image, foot: tuple[float, float], height: float, camera: Camera) -> None:
    """Draw a soft shadow at the foot (x, y in pixels) of a person of `height` px, away from the light."""
    spot = Image.new("L", picture.size)
    draw = ImageDraw.Draw(spot)
    x, y = foot[0] - 0.05 * camera.light * height, foot[1]
    for share, dark in ((1.0, 34), (0.8, 64), (0.6, 90)):
        half, flat = 0.17 * share * height, 0.032 * share * height
        draw.ellipse((x - half, y - flat, x + half, y + flat), fill=dark)
    picture.paste((30, 30, 34), mask=spot)


def add_occluder(picture: Image.Image, rng: np.random.Generator) -> None:
    """Draw a pole, bicycle, bush or car in front of the person, in 17 % of the images."""
    kind = rng.random() / 0.17
    if kind >= 1:
        return
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    if kind < 0.25:
        x, w = rng.uniform(0.1, 0.9) * width, rng.uniform(0.04, 0.1) * width
        grey = _near((110, 112, 114), rng, 30)
        draw.rectangle((x, 0, x + w, height), fill=grey)
        draw.rectangle((x, 0, x + 0.3 * w, height), fill=(min(255, grey[0] + 36),) * 3)
    elif kind < 0.5:
        colour, y, r = _near((60, 62, 70), rng, 25), rng.uniform(0.82, 0.95) * height, 0.24 * width
        for x in (rng.uniform(0.0, 0.3) * width, rng.uniform(0.7, 1.0) * width):
            draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=int(0.05 * width))
            draw.line((x, y, 0.5 * width, y - 1.2 * r), fill=colour, width=int(0.04 * width))
    elif kind < 0.75:
        for _ in range(30):
            x, y, r = rng.uniform(0, width), height * (1 - rng.uniform(0, 0.2) ** 1.2), rng.uniform(0.05, 0.14) * width
            draw.ellipse((x - r, y - r, x + r, y + r), fill=_near((74, 100, 54), rng, 16))
    else:
        top, colour = rng.uniform(0.72, 0.9) * height, _near((140, 140, 146), rng, 55)
        start = rng.uniform(-0.6, 0.5) * width
        draw.rounded_rectangle((start, top, start + 1.2 * width, 1.2 * height), radius=0.12 * width, fill=colour)


def photograph(picture: Image.Image, camera: Camera, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Apply the resolution, blur, colours and noise of the camera to a scene; return an image of `size`."""
    coarse = (max(8, round(size[0] * camera.coarse)), max(16, round(size[1] * camera.coarse)))
    small = picture.resize(coarse, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(camera.blur))
    pixels = np.asarray(small.resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255
    cast = np.array(camera.cast) * rng.normal(1, 0.05) * rng.normal(1, 0.02, 3)
    uneven = Image.fromarray(rng.normal(1, 0.06, (8, 4)).astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    light = np.asarray(uneven) * (1 + 0.12 * camera.light * np.linspace(-1, 1, size[0]))
    pixels = pixels ** np.float32(camera.gamma * rng.uniform(0.93, 1.07)) * cast.astype(np.float32)
    pixels = pixels * light.astype(np.float32)[:, :, None]
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    pixels = 0.45 + (pixels - 0.45) * np.float32(camera.contrast) + np.float32(camera.noise) * noise
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))

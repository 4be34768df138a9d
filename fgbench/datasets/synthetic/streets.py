"""What a camera sees besides the person, and how it sees: nothing here knows who is in the picture."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fgbench.datasets.synthetic.persons import Colour

GROUNDS: tuple[Colour, ...] = (
    (168, 164, 156), (150, 150, 152), (178, 172, 160), (134, 134, 134), (158, 158, 148), (172, 176, 178),
)  # fmt: skip
BEHIND: tuple[Colour, ...] = (
    (120, 116, 110), (92, 108, 84), (150, 112, 92), (168, 170, 170), (76, 94, 68), (98, 108, 128),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Camera:
    """One place, and one device."""

    ground: Colour
    behind: Colour
    horizon: float
    """Where the ground begins, as a share of the image's height."""
    tiles: float
    """Distance of the joints of the pavement in image widths; 0 for none."""
    turn: float
    """Which way most people walk, in radians."""
    spread: float
    """How much they differ in that, in radians."""
    light: float
    """Where the light comes from, -1 left to 1 right."""
    cast: tuple[float, float, float]
    """Gain of red, green and blue."""
    gamma: float
    contrast: float
    blur: float
    """Radius in pixels."""
    coarse: float
    """Resolution as a share of the full one."""
    noise: float
    shift: tuple[float, float]
    """How far the detector's boxes are off on average, in image sizes."""
    quality: int
    """Of the JPEG files."""


def camera(seed: int, number: int) -> Camera:
    """The camera of a number, from 1; neighbouring numbers look from different sides."""
    rng = np.random.default_rng((seed, 2, number))
    ground, behind = GROUNDS[(number + seed) % len(GROUNDS)], BEHIND[(number + seed) % len(BEHIND)]
    warm, green = rng.normal(0, 0.04), rng.normal(0, 0.02)
    level = rng.uniform(0.9, 1.1)
    return Camera(
        ground=ground,
        behind=behind,
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
    """A colour that differs by its lightness most."""
    vary = rng.normal(0, spread) + rng.normal(0, 0.35 * spread, 3)
    red, green, blue = (int(np.clip(value + change, 0, 255)) for value, change in zip(colour, vary, strict=True))
    return red, green, blue


def _any(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def street(view: Camera, canvas: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The place without the person: ground, what is behind it, passers-by far away."""
    width, height = canvas[0] // 3, canvas[1] // 3  # it is out of focus
    picture = Image.new("RGB", (width, height), _near(view.ground, rng, 14))
    draw = ImageDraw.Draw(picture)
    horizon = int(height * np.clip(view.horizon + rng.normal(0, 0.06), 0, 0.6))
    draw.rectangle(
        (0, 0, width, horizon), fill=_near(_any(BEHIND, rng) if rng.random() < 0.5 else view.behind, rng, 16)
    )
    for _ in range(int(rng.integers(1, 5))):
        x, w = rng.uniform(-0.2, 1) * width, rng.uniform(0.1, 0.5) * width
        top = rng.uniform(-0.3, 0.7) * horizon
        draw.rectangle((x, top, x + w, horizon), fill=_near(_any(BEHIND, rng), rng, 24))
    if view.tiles:
        slope, step = rng.normal(0, 0.25), view.tiles * width
        joint = _near(view.ground, rng, 4)
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


def shadow(picture: Image.Image, foot: tuple[float, float], height: float, view: Camera) -> None:
    """The dark spot under a person, away from the light."""
    spot = Image.new("L", picture.size)
    draw = ImageDraw.Draw(spot)
    x, y = foot[0] - 0.05 * view.light * height, foot[1]
    for share, dark in ((1.0, 34), (0.8, 64), (0.6, 90)):
        half, flat = 0.17 * share * height, 0.032 * share * height
        draw.ellipse((x - half, y - flat, x + half, y + flat), fill=dark)
    picture.paste((30, 30, 34), mask=spot)


def occluder(picture: Image.Image, rng: np.random.Generator) -> None:
    """A pole, a bicycle, a bush, a car, or nothing: in about a picture of six something stands before the person."""
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


def exposed(picture: Image.Image, view: Camera, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """What the camera makes of a scene: its resolution, blur, colours and noise."""
    coarse = (max(8, round(size[0] * view.coarse)), max(16, round(size[1] * view.coarse)))
    small = picture.resize(coarse, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(view.blur))
    pixels = np.asarray(small.resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255
    cast = np.array(view.cast) * rng.normal(1, 0.05) * rng.normal(1, 0.02, 3)
    uneven = Image.fromarray(rng.normal(1, 0.06, (8, 4)).astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    light = np.asarray(uneven) * (1 + 0.12 * view.light * np.linspace(-1, 1, size[0]))
    pixels = pixels ** np.float32(view.gamma * rng.uniform(0.93, 1.07)) * cast.astype(np.float32)
    pixels = pixels * light.astype(np.float32)[:, :, None]
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    pixels = 0.45 + (pixels - 0.45) * np.float32(view.contrast) + np.float32(view.noise) * noise
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))

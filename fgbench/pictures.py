"""Pictures of what a method does with test images: where it looks, what it finds, what it samples."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from fgbench.files import write_atomic

SHOWN = 8
"""Test images shown, spread evenly over the split."""
SIDE = 144
"""Side of each in pixels."""
GAP = 6
HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=float)
"""From no attention to the most."""
HUES = [tuple(int(255 * c) for c in colour) for colour in (
    (0.90, 0.10, 0.29), (0.24, 0.71, 0.29), (1.00, 0.88, 0.10), (0.26, 0.39, 0.85), (0.96, 0.51, 0.19),
    (0.57, 0.12, 0.71), (0.27, 0.94, 0.94), (0.94, 0.20, 0.90), (0.74, 0.96, 0.05), (0.98, 0.75, 0.83),
    (0.00, 0.50, 0.50), (0.86, 0.75, 1.00), (0.60, 0.39, 0.14), (1.00, 0.98, 0.78), (0.50, 0.00, 0.00),
)]  # fmt: skip
"""A colour for each keypoint, far apart."""


def shown_rows(count: int) -> np.ndarray:
    """Which of `count` test images are shown."""
    return np.unique(np.linspace(0, count - 1, min(SHOWN, count)).round().astype(int))


def draw_attention(pixels: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Attention over its image as in figure 4 of Where to Focus: up-sampled, smoothed by a Gaussian, as heat.

    Args:
        pixels: (H, W, 3) uint8.
        attention: (h, w), not negative.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = pixels.shape[:2]
    rows = np.arange(height) * attention.shape[0] // height
    columns = np.arange(width) * attention.shape[1] // width
    smooth = gaussian_filter(attention[np.ix_(rows, columns)].astype(float), sigma=height / attention.shape[0] / 1.5)
    share = (smooth - smooth.min()) / max(float(np.ptp(smooth)), 1e-12)
    place = share * (len(HEAT) - 1)
    below = np.minimum(place.astype(int), len(HEAT) - 2)
    heat = HEAT[below] + (HEAT[below + 1] - HEAT[below]) * (place - below)[..., None]
    return (0.45 * pixels + 0.55 * heat).astype(np.uint8)  # type: ignore[no-any-return]


def draw_points(pixels: np.ndarray, points: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Keypoints on their image, each with its own colour.

    Args:
        pixels: (H, W, 3) uint8.
        points: (P, 2) x, y in pixels.
        shown: (P,) bool.

    Returns:
        (SIDE, SIDE, 3) uint8: drawn after scaling, so that the dots stay round.
    """
    image = Image.fromarray(pixels).resize((SIDE, SIDE))
    draw = ImageDraw.Draw(image)
    for number in np.flatnonzero(shown):
        x, y = points[number] * SIDE / len(pixels)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=HUES[number % len(HUES)], outline="black")
    return np.asarray(image)


def save_strip(path: Path, images: list[np.ndarray]) -> None:
    """Images side by side, each SIDE px, as a JPEG."""
    strip = Image.new("RGB", (len(images) * (SIDE + GAP) - GAP, SIDE), "white")
    for number, pixels in enumerate(images):
        strip.paste(Image.fromarray(pixels).resize((SIDE, SIDE)), (number * (SIDE + GAP), 0))
    write_atomic(path, lambda temporary: strip.save(temporary, "JPEG", quality=88))


def save_pictures(
    folder: Path,
    run_id: str,
    pixels: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    truth: np.ndarray | None,
    drawn: Mapping[str, np.ndarray],
) -> None:
    """One strip a kind of picture, `<run id>-<kind>.jpg`; nothing for a method that has nothing to show.

    Args:
        folder: where to put them.
        run_id: of the run.
        pixels: (n, H, W, 3) uint8, the images shown.
        outputs: of these images: `attention` (n, h, w) and `keypoints` (n, P, 3), where the method gives them.
        truth: (n, P, 3) keypoints in pixels of the images and their visibility; None if the data set has none.
        drawn: more pictures by name, (n, h, w, 3) uint8.
    """
    strips: dict[str, list[np.ndarray]] = {}
    if "attention" in outputs:
        strips["attention"] = [draw_attention(p, a) for p, a in zip(pixels, outputs["attention"], strict=True)]
    if "keypoints" in outputs:
        found = outputs["keypoints"]
        visible = found[..., 2] > 0 if truth is None else truth[..., 2] > 0
        if truth is not None:
            strips["keypoints, true"] = [
                draw_points(p, t[:, :2], v) for p, t, v in zip(pixels, truth, visible, strict=True)
            ]
        strips["keypoints, found"] = [
            draw_points(p, f[:, :2], v) for p, f, v in zip(pixels, found, visible, strict=True)
        ]
    strips |= {name: list(images) for name, images in drawn.items()}
    if strips:
        strips = {"images": list(pixels), **strips}
    for number, (name, images) in enumerate(strips.items()):
        save_strip(folder / f"{run_id}-{number} {name}.jpg", images)

"""Pictures of what a method does with test images: where it looks, what it finds, what it samples."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from fgbench.datasets.pixel_cache import Pixels
from fgbench.util.files import write_atomic

SHOWN = 8
"""Test images shown, spread evenly over the split."""
SIDE = 144
"""Side of each in pixels."""
GAP = 6
PERSON = (54, 108)
"""Width and height of a person's image, which the pixels are warped back to."""
FRAME, DASH, MARK = 4, 9, 14
"""Breadth of a frame, length of its dashes, and side of the tick or cross, in pixels."""
RIGHT, WRONG = (0, 114, 178), (213, 94, 0)
"""Blue and vermilion, which the colour-blind tell apart, too."""
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


def draw_mark(image: Image.Image, right: bool) -> Image.Image:
    """An image in a frame, solid with a tick if it is right, dashed with a cross if it is wrong."""
    wide, high = image.size[0] + 2 * FRAME, image.size[1] + 2 * FRAME
    framed = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(framed)
    colour = RIGHT if right else WRONG
    for start in range(0, 2 * (wide + high), DASH):
        if not right and start // DASH % 2:
            continue
        for place in range(start, min(start + DASH - FRAME, 2 * (wide + high))):  # the strokes are broad
            x, y = _around(place, wide, high)
            draw.rectangle((x - FRAME + 1, y - FRAME + 1, x + FRAME - 1, y + FRAME - 1), fill=colour)
    framed.paste(image, (FRAME, FRAME))
    left, top = wide - FRAME - MARK, high - FRAME - MARK
    draw.rectangle((left, top, left + MARK - 1, top + MARK - 1), fill=colour)
    a, b = 3, MARK - 4
    strokes = [((a, MARK // 2), (a + 3, b), (b, a))] if right else [((a, a), (b, b)), ((a, b), (b, a))]
    for stroke in strokes:
        draw.line([(left + x, top + y) for x, y in stroke], fill="white", width=2)
    return framed


def _around(place: int, wide: int, high: int) -> tuple[int, int]:
    """The point so many pixels along the edge of a picture, clockwise from the top left."""
    if place < wide:
        return place, 0
    if place < wide + high:
        return wide - 1, place - wide
    if place < 2 * wide + high:
        return 2 * wide + high - 1 - place, high - 1
    return 0, 2 * (wide + high) - 1 - place


def save_searches(
    folder: Path, run_id: str, pixels: Pixels, rows: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> None:
    """A few queries, each beside the first images of its gallery, as `<run id>-9 searches.jpg`.

    Right ones have a solid frame and a tick, wrong ones a dashed frame and a cross.

    Args:
        folder: where to put it.
        run_id: of the run.
        pixels: (N, H, W, 3) uint8, the images searched with and in.
        rows: (N,) ascending, their rows in the data set.
        arrays: `ids`, `shown`, `shown_gallery` and `shown_right` as `fgbench.metrics.person_search` makes them.
    """
    wide, high = PERSON[0] + 2 * FRAME, PERSON[1] + 2 * FRAME
    found, right = arrays["shown_gallery"], arrays["shown_right"]
    columns = found.shape[1] + 1
    picture = Image.new("RGB", (columns * (wide + GAP) + GAP, len(found) * (high + GAP) - GAP), "white")
    for line, query in enumerate(arrays["ids"][arrays["shown"]]):
        for column, row in enumerate([query, *found[line]]):
            if row < 0:
                continue
            image = Image.fromarray(np.array(pixels[rows.searchsorted([row])])[0]).resize(PERSON)
            framed = image if not column else draw_mark(image, bool(right[line, column - 1]))
            edge = 0 if column else FRAME
            # A gap parts the query from what it found.
            place = (column * (wide + GAP) + (2 * GAP if column else 0) + edge, line * (high + GAP) + edge)
            picture.paste(framed, place)
    write_atomic(folder / f"{run_id}-9 searches.jpg", lambda temporary: picture.save(temporary, "JPEG", quality=88))

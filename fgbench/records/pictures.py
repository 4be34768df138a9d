"""Pictures of test images: attention, keypoints, samples, search results."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from fgbench.datasets.pixel_cache import Pixels
from fgbench.util.files import write_atomic

SHOWN = 8
"""Number of test images, spread evenly over the split."""
SIDE = 144
"""Side of an image in pixels."""
GAP = 6
"""Pixels between two images."""
PERSON = (54, 108)
"""Width and height of a person's image; the square input is scaled back to it."""
FRAME, DASH, MARK = 4, 9, 14
"""Width of a frame, length of its dashes, and side of the tick or cross, in pixels."""
RIGHT, WRONG = (0, 114, 178), (213, 94, 0)
"""Blue and vermilion, which colour-blind readers can distinguish."""
HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=float)
"""Colours from no attention to maximum attention."""
HUES = [tuple(int(255 * c) for c in colour) for colour in (
    (0.90, 0.10, 0.29), (0.24, 0.71, 0.29), (1.00, 0.88, 0.10), (0.26, 0.39, 0.85), (0.96, 0.51, 0.19),
    (0.57, 0.12, 0.71), (0.27, 0.94, 0.94), (0.94, 0.20, 0.90), (0.74, 0.96, 0.05), (0.98, 0.75, 0.83),
    (0.00, 0.50, 0.50), (0.86, 0.75, 1.00), (0.60, 0.39, 0.14), (1.00, 0.98, 0.78), (0.50, 0.00, 0.00),
)]  # fmt: skip
"""One colour for each keypoint, easy to distinguish."""


def shown_rows(count: int) -> np.ndarray:
    """Return the rows of the test images that are shown, out of `count` rows."""
    return np.unique(np.linspace(0, count - 1, min(SHOWN, count)).round().astype(int))


def draw_attention(pixels: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Draw attention over its image as in figure 4 of Where to Focus: up-sampled, smoothed by a Gaussian, as heat.

    Args:
        pixels: (H, W, 3) uint8.
        attention: (h, w), non-negative.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = pixels.shape[:2]
    rows = np.arange(height) * attention.shape[0] // height
    columns = np.arange(width) * attention.shape[1] // width
    smooth = gaussian_filter(attention[np.ix_(rows, columns)].astype(float), sigma=height / attention.shape[0] / 1.5)
    scaled = (smooth - smooth.min()) / max(float(np.ptp(smooth)), 1e-12)
    position = scaled * (len(HEAT) - 1)
    below = np.minimum(position.astype(int), len(HEAT) - 2)
    heat = HEAT[below] + (HEAT[below + 1] - HEAT[below]) * (position - below)[..., None]
    return (0.45 * pixels + 0.55 * heat).astype(np.uint8)  # type: ignore[no-any-return]


def draw_points(pixels: np.ndarray, points: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Draw keypoints on their image, one colour for each keypoint.

    Args:
        pixels: (H, W, 3) uint8.
        points: (P, 2) x, y in pixels.
        shown: (P,) bool.

    Returns:
        (SIDE, SIDE, 3) uint8. The image is scaled before the dots are drawn.
    """
    image = Image.fromarray(pixels).resize((SIDE, SIDE))
    draw = ImageDraw.Draw(image)
    for number in np.flatnonzero(shown):
        x, y = points[number] * SIDE / len(pixels)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=HUES[number % len(HUES)], outline="black")
    return np.asarray(image)


def save_strip(path: Path, images: list[np.ndarray]) -> None:
    """Save images side by side, each SIDE pixels wide and high, as a JPEG."""
    strip = Image.new("RGB", (len(images) * (SIDE + GAP) - GAP, SIDE), "white")
    for number, pixels in enumerate(images):
        strip.paste(Image.fromarray(pixels).resize((SIDE, SIDE)), (number * (SIDE + GAP), 0))
    write_atomic(path, lambda temporary: strip.save(temporary, "JPEG", quality=88))


def draw_outputs(
    pixels: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    truth: np.ndarray | None,
    drawn: Mapping[str, np.ndarray],
) -> dict[str, list[np.ndarray]]:
    """Draw the outputs of a method for some images.

    Args:
        pixels: (n, H, W, 3) uint8, the images.
        outputs: as for `save_pictures`.
        truth: as for `save_pictures`.
        drawn: further pictures by name, (n, h, w, 3) uint8.

    Returns:
        Kind -> one picture (h, w, 3) uint8 for each image; nothing for a method that has no pictures.
    """
    pictures: dict[str, list[np.ndarray]] = {}
    if "attention" in outputs:
        pictures["attention"] = [draw_attention(p, a) for p, a in zip(pixels, outputs["attention"], strict=True)]
    if "keypoints" in outputs:
        predicted = outputs["keypoints"]
        visible = predicted[..., 2] > 0 if truth is None else truth[..., 2] > 0
        if truth is not None:
            pictures["keypoints, true"] = [
                draw_points(p, t[:, :2], v) for p, t, v in zip(pixels, truth, visible, strict=True)
            ]
        pictures["keypoints, found"] = [
            draw_points(p, f[:, :2], v) for p, f, v in zip(pixels, predicted, visible, strict=True)
        ]
    return pictures | {name: list(images) for name, images in drawn.items()}


def save_pictures(
    folder: Path,
    run_id: str,
    pixels: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    truth: np.ndarray | None,
    drawn: Mapping[str, np.ndarray],
) -> None:
    """Save one strip for each kind of picture, `<run id>-<number> <kind>.jpg`; none if the method has no pictures.

    Args:
        folder: where the files are written.
        run_id: id of the run.
        pixels: (n, H, W, 3) uint8, the images.
        outputs: outputs for these images: `attention` (n, h, w) and `keypoints` (n, P, 3) if the method has them.
        truth: (n, P, 3) true keypoints in pixels, with their visibility; None if the data set has none.
        drawn: further pictures by name, (n, h, w, 3) uint8.
    """
    strips = draw_outputs(pixels, outputs, truth, drawn)
    if strips:
        strips = {"images": list(pixels), **strips}
    for number, (name, images) in enumerate(strips.items()):
        save_strip(folder / f"{run_id}-{number} {name}.jpg", images)


def draw_mark(image: Image.Image, right: bool) -> Image.Image:
    """Draw a frame around an image: solid with a tick if it is right, dashed with a cross if it is wrong."""
    wide, high = image.size[0] + 2 * FRAME, image.size[1] + 2 * FRAME
    framed = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(framed)
    colour = RIGHT if right else WRONG
    for start in range(0, 2 * (wide + high), DASH):
        if not right and start // DASH % 2:
            continue
        for place in range(start, min(start + DASH - FRAME, 2 * (wide + high))):  # a stroke is wider than one pixel
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
    """Return the point x, y at a distance in pixels along the edge of a picture, clockwise from the top left."""
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
    """Save a few queries, each beside the first images of its ranking, as `<run id>-9 searches.jpg`.

    Matches have a solid frame and a tick, other images a dashed frame and a cross.

    Args:
        folder: where the file is written.
        run_id: id of the run.
        pixels: (N, H, W, 3) uint8, queries and gallery.
        rows: (N,) ascending, the rows of these images in the data set.
        arrays: `ids`, `shown`, `shown_gallery` and `shown_right` as `fgbench.metrics.person_search` makes them.
    """
    wide, high = PERSON[0] + 2 * FRAME, PERSON[1] + 2 * FRAME
    gallery, right = arrays["shown_gallery"], arrays["shown_right"]
    columns = gallery.shape[1] + 1
    picture = Image.new("RGB", (columns * (wide + GAP) + GAP, len(gallery) * (high + GAP) - GAP), "white")
    for line, query in enumerate(arrays["ids"][arrays["shown"]]):
        for column, row in enumerate([query, *gallery[line]]):
            if row < 0:
                continue
            image = Image.fromarray(np.array(pixels[rows.searchsorted([row])])[0]).resize(PERSON)
            framed = image if not column else draw_mark(image, bool(right[line, column - 1]))
            edge = 0 if column else FRAME
            # A gap separates the query from its results.
            place = (column * (wide + GAP) + (2 * GAP if column else 0) + edge, line * (high + GAP) + edge)
            picture.paste(framed, place)
    write_atomic(folder / f"{run_id}-9 searches.jpg", lambda temporary: picture.save(temporary, "JPEG", quality=88))

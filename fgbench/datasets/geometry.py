"""Where points of the original images lie in the images a method sees, and back."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.util.errors import FgbenchError


def image_sizes(index: Index) -> np.ndarray:
    """(N, 2) int64: width and height of every image in pixels, read from the files' headers.

    Raises:
        FgbenchError: a file is no image; names it.
    """

    def size(file: str) -> tuple[int, int]:
        try:
            with Image.open(index.root / file) as image:
                return image.size
        except OSError as error:
            raise FgbenchError(
                f"{index.root / file} does not decode: {error}", f"fgbench data check {index.name}"
            ) from error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(pool.map(size, index.files)), dtype=np.int64).reshape(-1, 2)


def input_geometry(index: Index, pipeline: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset, each (N, 2) float64, of x' = scale * x + offset from original images to those of `pipeline`."""
    boxes = [None] * len(index) if index.boxes is None else index.boxes
    found = [
        pipeline.geometry((int(width), int(height)), box)
        for (width, height), box in zip(image_sizes(index), boxes, strict=True)
    ]
    return np.array([affine.scale for affine in found]), np.array([affine.offset for affine in found])


def to_input(points: np.ndarray, scale: np.ndarray, offset: np.ndarray, size: int) -> np.ndarray:
    """Keypoints (N, P, 3) of the original images as they lie in the method's images of `size` px.

    A keypoint that the method's image does not show is not visible there.
    """
    moved = points[..., :2] * scale[:, None] + offset[:, None]
    shown = ((moved >= 0) & (moved <= size)).all(-1)
    return np.concatenate([moved, (points[..., 2] * shown)[..., None]], axis=-1)


def to_original(points: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Points (N, P, 2) in a method's images as points of the original images."""
    return (points - offset[:, None]) / scale[:, None]  # type: ignore[no-any-return]

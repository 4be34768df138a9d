"""Conversion of points between original images and the inputs of a method."""

import os
import shlex
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fgbench.datasets.image_reading import ImageError, image_size
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.util.errors import ArgumentError


def image_sizes(index: Index) -> np.ndarray:
    """Return width and height of every image in pixels, (N, 2) int64, from the headers of the files.

    Raises:
        ImageError: a file is not an image.
    """

    def size(file: str) -> tuple[int, int]:
        try:
            return image_size(index.path(file))
        except ImageError as error:
            error.hint = f"fgbench data check {shlex.quote(index.name)}"
            raise

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(pool.map(size, index.files)), dtype=np.int64).reshape(-1, 2)


def input_geometry(index: Index, pipeline: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Return the maps x' = scale * x + offset from original images to inputs of a method.

    Args:
        index: N images.
        pipeline: preprocessing of the method.

    Returns:
        Scale and offset, each (N, 2) float64 for x and y.
    """
    boxes = [None] * len(index) if index.boxes is None else index.boxes
    maps = [
        pipeline.geometry((int(width), int(height)), box)
        for (width, height), box in zip(image_sizes(index), boxes, strict=True)
    ]
    return np.array([affine.scale for affine in maps]), np.array([affine.offset for affine in maps])


def to_input(points: np.ndarray, scale: np.ndarray, offset: np.ndarray, size: int) -> np.ndarray:
    """Convert keypoints of original images to inputs of a method.

    Args:
        points: (N, P, 3) x and y in pixels of the original images, and visibility.
        scale: (N, 2), see `input_geometry`.
        offset: (N, 2), see `input_geometry`.
        size: side of the inputs in pixels.

    Returns:
        (N, P, 3) x and y in pixels of the inputs, and visibility. Keypoints outside an input are not visible.

    Raises:
        ArgumentError: the shapes do not agree.
    """
    _check_shapes(points, 3, scale, offset)
    moved = points[..., :2] * scale[:, None] + offset[:, None]
    inside = ((moved >= 0) & (moved <= size)).all(-1)
    return np.concatenate([moved, (points[..., 2] * inside)[..., None]], axis=-1)


def to_original(points: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Convert points of inputs of a method to points of the original images.

    Args:
        points: (N, P, 2) x and y in pixels of the inputs.
        scale: (N, 2), see `input_geometry`.
        offset: (N, 2), see `input_geometry`.

    Returns:
        (N, P, 2) x and y in pixels of the original images.

    Raises:
        ArgumentError: the shapes do not agree.
    """
    _check_shapes(points, 2, scale, offset)
    return (points - offset[:, None]) / scale[:, None]  # type: ignore[no-any-return]


def _check_shapes(points: np.ndarray, columns: int, scale: np.ndarray, offset: np.ndarray) -> None:
    """Raise ArgumentError unless points are (N, P, columns), and scale and offset are (N, 2)."""
    count = len(points)
    if points.ndim != 3 or points.shape[2] != columns or not scale.shape == offset.shape == (count, 2):
        raise ArgumentError(
            f"points, scale and offset must have shapes (N, P, {columns}), (N, 2) and (N, 2), not {points.shape}, "
            f"{scale.shape} and {offset.shape}"
        )

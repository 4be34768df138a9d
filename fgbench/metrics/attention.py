"""Does a method look at the object and its parts? Attention maps against boxes and keypoints it never saw."""

import numpy as np

from fgbench.util.errors import FgbenchError


def attention_at_points(attention: np.ndarray, points: np.ndarray, size: int) -> np.ndarray:
    """How many times the mean attention each keypoint gets.

    Args:
        attention: (N, h, w), not negative, spread evenly over images of `size` px.
        points: (N, P, 3): x, y in pixels of those images, and visibility.
        size: side of the images in pixels.

    Returns:
        (N, P) float64: attention of the cell that holds the keypoint, over the map's mean; NaN where the keypoint is
        not visible.

    Raises:
        FgbenchError: shapes do not fit, or a map is negative, not finite or zero everywhere.
    """
    density = _density(attention)
    if points.ndim != 3 or points.shape[0] != len(attention) or points.shape[2] != 3:
        raise FgbenchError(f"keypoints {points.shape} for attention maps {attention.shape}")
    height, width = attention.shape[1:]
    visible = points[..., 2] > 0
    x, y = (np.where(visible, points[..., axis], 0) for axis in (0, 1))  # an invisible keypoint may lie nowhere
    column = np.clip(x / size * width, 0, width - 1).astype(int)
    row = np.clip(y / size * height, 0, height - 1).astype(int)
    found = density[np.arange(len(density))[:, None], row, column]
    return np.where(visible, found, np.nan)


def attention_in_boxes(attention: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """How many times the map's mean the attention inside each object's box is.

    Args:
        attention: (N, h, w), not negative, spread evenly over images of `size` px.
        boxes: (N, 4) x, y, width, height in pixels of those images.
        size: side of the images in pixels.

    Returns:
        (N,) float64; cells count by the part of them that the box covers. NaN where the box covers nothing.

    Raises:
        FgbenchError: as `attention_at_points`.
    """
    density = _density(attention)
    height, width = attention.shape[1:]
    covered = [
        _overlap(boxes[:, axis], boxes[:, axis] + boxes[:, 2 + axis], cells, size)
        for axis, cells in ((1, height), (0, width))
    ]
    cover = covered[0][:, :, None] * covered[1][:, None, :]
    area = cover.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(area > 0, (density * cover).sum(axis=(1, 2)) / area, np.nan)


def _overlap(low: np.ndarray, high: np.ndarray, cells: int, size: int) -> np.ndarray:
    """(N, cells): how much of each cell along a side the interval from `low` to `high` covers, from 0 to 1."""
    edges = np.arange(cells + 1) * size / cells
    inside = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return np.clip(inside, 0, None) * cells / size  # type: ignore[no-any-return]


def _density(attention: np.ndarray) -> np.ndarray:
    if attention.ndim != 3 or not np.isfinite(attention).all() or (attention < 0).any():
        raise FgbenchError(f"attention maps are (N, h, w), finite and not negative; these are {attention.shape}")
    mean = attention.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    if not mean.all():
        raise FgbenchError("an attention map is zero everywhere")
    return attention / mean  # type: ignore[no-any-return]

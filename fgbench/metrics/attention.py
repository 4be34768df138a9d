"""Attention at keypoints and in boxes of the annotations, relative to the mean of the attention map."""

import numpy as np

from fgbench.util.errors import ArgumentError


def attention_at_points(attention: np.ndarray, points: np.ndarray, size: int) -> np.ndarray:
    """Return the attention at each keypoint, divided by the mean of the map.

    Args:
        attention: (N, h, w), not negative. The h x w cells divide an image of `size` x `size` px evenly.
        points: (N, P, 3) x and y in pixels of the image, and visibility (above 0 if visible).
        size: side of the image in pixels.

    Returns:
        (N, P) float64: attention of the cell that contains the keypoint, divided by the mean of the map; NaN if the
        keypoint is not visible.

    Raises:
        ArgumentError: the shapes do not fit, or a map is negative, not finite or zero everywhere.

    Example:
        >>> attention = np.array([[[1.0, 1.0], [1.0, 5.0]]])  # mean 2
        >>> attention_at_points(attention, np.array([[[10.0, 10.0, 1], [90.0, 90.0, 1]]]), size=100).tolist()
        [[0.5, 2.5]]
    """
    density = _density(attention)
    if points.ndim != 3 or points.shape[0] != len(attention) or points.shape[2] != 3:
        raise ArgumentError(f"keypoints have to be (N, P, 3), not {points.shape}, for attention maps {attention.shape}")
    height, width = attention.shape[1:]
    visible = points[..., 2] > 0
    x, y = (np.where(visible, points[..., axis], 0) for axis in (0, 1))  # invisible keypoints may be NaN
    column = np.clip(x / size * width, 0, width - 1).astype(int)
    row = np.clip(y / size * height, 0, height - 1).astype(int)
    at_points = density[np.arange(len(density))[:, None], row, column]  # (N, P)
    return np.where(visible, at_points, np.nan)


def attention_in_boxes(attention: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """Return the mean attention inside the box of each image, divided by the mean of the map.

    Args:
        attention: as in `attention_at_points`.
        boxes: (N, 4) x, y, width, height in pixels of the image.
        size: side of the image in pixels.

    Returns:
        (N,) float64. Cells are weighted by the fraction that the box covers. NaN if the box covers nothing.

    Raises:
        ArgumentError: as in `attention_at_points`.

    Example:
        >>> attention = np.array([[[1.0, 1.0], [1.0, 5.0]]])  # mean 2
        >>> attention_in_boxes(attention, np.array([[0.0, 50.0, 100.0, 50.0]]), size=100).tolist()
        [1.5]
    """
    density = _density(attention)
    height, width = attention.shape[1:]
    # (N, h) and (N, w): covered fraction of each row and column of cells.
    covered = [
        _overlap(boxes[:, axis], boxes[:, axis] + boxes[:, 2 + axis], cells, size)
        for axis, cells in ((1, height), (0, width))
    ]
    cover = covered[0][:, :, None] * covered[1][:, None, :]  # (N, h, w)
    area = cover.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(area > 0, (density * cover).sum(axis=(1, 2)) / area, np.nan)


def _overlap(low: np.ndarray, high: np.ndarray, cells: int, size: int) -> np.ndarray:
    """Return the fraction of each cell along one side that the interval from `low` to `high` covers: (N, cells)."""
    edges = np.arange(cells + 1) * size / cells
    inside = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    return np.clip(inside, 0, None) * cells / size  # type: ignore[no-any-return]


def _density(attention: np.ndarray) -> np.ndarray:
    """Return attention maps divided by their means."""
    if attention.ndim != 3 or not np.isfinite(attention).all() or (attention < 0).any():
        raise ArgumentError(
            f"attention maps have to be (N, h, w), finite and not negative; these are {attention.shape}"
        )
    mean = attention.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    if not mean.all():
        raise ArgumentError("an attention map is zero everywhere")
    return attention / mean  # type: ignore[no-any-return]

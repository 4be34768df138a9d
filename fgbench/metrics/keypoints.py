"""Percentage of correct keypoints, PCK (Zhang, Shelhamer, Gao and Darrell, arXiv 1511.07063, section 4.2, Table 2)."""

import numpy as np

from fgbench.util.errors import ArgumentError


def pck_hits(predicted: np.ndarray, truth: np.ndarray, boxes: np.ndarray, alpha: float) -> np.ndarray:
    """Return which keypoints are predicted correctly: (N, P) bool; False if the true keypoint is not visible.

    A prediction is correct if its distance to the true keypoint is at most alpha * max(height, width) of the box. Left
    and right keypoints are different keypoints: a left leg predicted at the right leg is wrong.

    Args:
        predicted: (N, P, 2) x and y in pixels of the original image. Every keypoint needs a finite prediction, also one
            that is predicted to be invisible.
        truth: (N, P, 3) x and y in pixels of the original image, and visibility (0 or 1).
        boxes: (N, 4) x, y, width, height of the object in pixels of the original image.
        alpha: largest correct distance as a fraction of the longer side of the box.

    Returns:
        (N, P) bool.

    Raises:
        ArgumentError: the shapes do not fit, there are no samples, a prediction, visible keypoint or box is not finite,
            a visibility is neither 0 nor 1, the width or height of a box is not positive, or alpha is not positive.

    Example:
        >>> truth = np.array([[[10.0, 10, 1], [50, 50, 1], [0, 0, 0]]])
        >>> predicted = np.array([[[13.0, 14], [50, 61], [0, 0]]])
        >>> pck_hits(predicted, truth, np.array([[0, 0, 100.0, 80]]), alpha=0.1).tolist()
        [[True, False, False]]
    """
    count = len(predicted)
    if (
        predicted.ndim != 3
        or predicted.shape[2] != 2
        or not predicted.size
        or truth.shape != (*predicted.shape[:2], 3)
        or boxes.shape != (count, 4)
    ):
        raise ArgumentError(
            "PCK needs predictions (N, P, 2), keypoints (N, P, 3) and boxes (N, 4), "
            f"not {predicted.shape}, {truth.shape} and {boxes.shape}"
        )
    if not (np.isfinite(alpha) and alpha > 0):
        raise ArgumentError(f"alpha of PCK has to be above 0, not {alpha}")
    visible = truth[:, :, 2] == 1
    _require_none(~np.isfinite(predicted), "the predicted keypoints of sample {} are not finite")
    _require_none(~visible & (truth[:, :, 2] != 0), "the visibility of a keypoint of sample {} is neither 0 nor 1")
    _require_none(visible[:, :, None] & ~np.isfinite(truth), "a visible keypoint of sample {} is not finite")
    _require_none(~np.isfinite(boxes), "the box of sample {} is not finite")
    _require_none(boxes[:, 2:] <= 0, "the width or height of the box of sample {} is not positive")
    # float64 avoids a rounded threshold for predictions in single precision.
    error = predicted.astype(np.float64) - truth[:, :, :2]
    threshold = alpha * boxes[:, 2:].astype(np.float64).max(axis=1)
    near = np.hypot(error[:, :, 0], error[:, :, 1]) <= threshold[:, None]
    return visible & near  # type: ignore[no-any-return]


def pck(predicted: np.ndarray, truth: np.ndarray, boxes: np.ndarray, alpha: float) -> np.ndarray:
    """Return the percentage of visible keypoints that are predicted correctly, for each part: a column of Table 2.

    Arguments and errors as in `pck_hits`.

    Returns:
        (P,) float64 in percent; NaN for a part that is visible in no sample.

    Example:
        >>> truth = np.array([[[10.0, 10, 1], [50, 50, 1], [0, 0, 0]]])
        >>> predicted = np.array([[[13.0, 14], [50, 61], [0, 0]]])
        >>> pck(predicted, truth, np.array([[0, 0, 100.0, 80]]), alpha=0.1).tolist()
        [100.0, 0.0, nan]
    """
    hits = pck_hits(predicted, truth, boxes, alpha).sum(axis=0)
    visible = (truth[:, :, 2] == 1).sum(axis=0)
    percent = np.full(len(hits), np.nan)
    np.divide(100 * hits, visible, out=percent, where=visible > 0)
    return percent


def _require_none(wrong: np.ndarray, message: str) -> None:
    """Raise `message` with the number of the first sample in which an entry of `wrong` is True."""
    samples = wrong.reshape(len(wrong), -1).any(axis=1)
    if samples.any():
        raise ArgumentError(message.format(int(samples.argmax())))

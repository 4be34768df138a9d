"""Percentage of correct keypoints, PCK (Zhang, Shelhamer, Gao and Darrell, arXiv 1511.07063, section 4.2, Table 2)."""

from typing import Literal

import numpy as np

from fgbench.util.errors import FgbenchError


def pck_hits(predicted: np.ndarray, truth: np.ndarray, boxes: np.ndarray, alpha: float) -> np.ndarray:
    """Which keypoints are found: (N, P) bool; False where the true keypoint is not visible.

    A keypoint is found when its prediction lies within alpha * max(height, width) of it, that very distance included.
    Left and right keypoints of the paper are told apart: a left leg found at the right leg is wrong.

    Args:
        predicted: (N, P, 2), x, y in pixels of the original image. A method must commit itself to a place for every
            keypoint, also for one that it believes to be invisible.
        truth: (N, P, 3), x, y in pixels of the original image, and 1 where the keypoint is visible, else 0.
        boxes: (N, 4), x, y, width, height of the object in pixels of the original image.
        alpha: share of the longer side of the box.

    Raises:
        FgbenchError: shapes do not fit, no samples, a prediction, visible keypoint or box that is not finite, a
            visibility other than 0 and 1, a box without extent, or an alpha that is not positive.
    """
    count = len(predicted)
    if (
        predicted.ndim != 3
        or predicted.shape[2] != 2
        or not predicted.size
        or truth.shape != (*predicted.shape[:2], 3)
        or boxes.shape != (count, 4)
    ):
        raise FgbenchError(f"PCK of predictions {predicted.shape} against keypoints {truth.shape}, boxes {boxes.shape}")
    if not (np.isfinite(alpha) and alpha > 0):
        raise FgbenchError(f"PCK needs an alpha above 0, not {alpha}")
    visible = truth[:, :, 2] == 1
    _refuse(~np.isfinite(predicted), "the predicted keypoints of sample {} are not finite")
    _refuse(~visible & (truth[:, :, 2] != 0), "the visibility of a keypoint of sample {} is neither 0 nor 1")
    _refuse(visible[:, :, None] & ~np.isfinite(truth), "a visible keypoint of sample {} is not finite")
    _refuse(~np.isfinite(boxes), "the box of sample {} is not finite")
    _refuse(boxes[:, 2:] <= 0, "the box of sample {} has no extent")
    # float64, so that predictions of a network in single precision are not compared with a rounded reach.
    error = predicted.astype(np.float64) - truth[:, :, :2]
    reach = alpha * boxes[:, 2:].astype(np.float64).max(axis=1)
    near = np.hypot(error[:, :, 0], error[:, :, 1]) <= reach[:, None]
    return visible & near  # type: ignore[no-any-return]


def pck(predicted: np.ndarray, truth: np.ndarray, boxes: np.ndarray, alpha: float) -> np.ndarray:
    """Share of the visible keypoints of each part that are found, (P,) float64 in percent: a column of Table 2.

    NaN for a part that no sample shows. Arguments and errors as `pck_hits`.
    """
    hits = pck_hits(predicted, truth, boxes, alpha).sum(axis=0)
    visible = (truth[:, :, 2] == 1).sum(axis=0)
    shares = np.full(len(hits), np.nan)
    np.divide(100 * hits, visible, out=shares, where=visible > 0)
    return shares


def mean_pck(
    predicted: np.ndarray,
    truth: np.ndarray,
    boxes: np.ndarray,
    alpha: float,
    *,
    average: Literal["parts", "keypoints"],
) -> float:
    """One PCK in percent for all parts; the paper prints none. NaN where no keypoint is visible at all.

    Args:
        predicted: as `pck_hits`.
        truth: as `pck_hits`.
        boxes: as `pck_hits`.
        alpha: as `pck_hits`.
        average: `parts` for the mean of `pck` over the parts that occur, so that a part often hidden counts as much
            as any other; `keypoints` for the share of all visible keypoints that are found.

    Raises:
        FgbenchError: as `pck_hits`, or an unknown `average`.
    """
    if average == "parts":
        values = pck(predicted, truth, boxes, alpha)
        occurs = ~np.isnan(values)
        return float(values[occurs].mean()) if occurs.any() else float("nan")
    if average == "keypoints":
        hits = int(pck_hits(predicted, truth, boxes, alpha).sum())
        visible = int((truth[:, :, 2] == 1).sum())
        return 100 * hits / visible if visible else float("nan")
    raise FgbenchError(f"PCK has no average over {average!r}", "take 'parts' or 'keypoints'")


def _refuse(wrong: np.ndarray, message: str) -> None:
    """Raise `message` with the number of the first sample that has something wrong."""
    samples = wrong.reshape(len(wrong), -1).any(axis=1)
    if samples.any():
        raise FgbenchError(message.format(int(samples.argmax())))

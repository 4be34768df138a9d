"""Head and body boxes from keypoints, and the percentage of correct parts, PCP.

Source: Zhang, Shelhamer, Gao and Darrell, arXiv 1511.07063, section 4.2 and Table 3. The paper does not define the
boxes. It compares with Part R-CNN (Zhang et al., ECCV 2014), whose code contains boxes for CUB-200-2011. For every
image, these are the tight boxes of the visible keypoints in `HEAD` and `BODY`; a box is missing if fewer than three
keypoints are visible.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from fgbench.datasets.bird_parts import BODY, HEAD, MIN_KEYPOINTS, PARTS
from fgbench.util.errors import ArgumentError, nearest


class Pcp(NamedTuple):
    """A percentage of correct parts and the number of parts."""

    percent: float
    """Correct parts in percent of `total`; NaN if `total` is 0."""
    total: int
    """Number of true boxes that exist."""


def part_boxes(
    points: np.ndarray, visible: np.ndarray, names: Sequence[str], part: Literal["head", "body"]
) -> np.ndarray:
    """Return the tight axis-aligned box of the visible keypoints of a part, for true or predicted keypoints.

    Args:
        points: (N, P, 2) x and y in pixels of the original image; further columns are ignored.
        visible: (N, P) bool, true or predicted visibility.
        names: names of the P keypoints as in parts.txt of CUB-200-2011, in any order.
        part: `head` or `body`.

    Returns:
        (N, 4) float64 x, y, width, height in pixels. The width is the difference of the largest and smallest x, so the
        area is 0 if all keypoints lie on a vertical or horizontal line. NaN if fewer than three keypoints of the part
        are visible.

    Raises:
        ArgumentError: the shapes do not fit, `visible` is not bool, the part is unknown, a name is unknown, repeated or
            missing, or a visible keypoint is not finite.

    Example:
        >>> names = sorted(HEAD)
        >>> points = np.arange(14.0).reshape(1, 7, 2)
        >>> part_boxes(points, np.ones((1, 7), bool), names, "head").tolist()
        [[0.0, 1.0, 12.0, 12.0]]
    """
    if part not in PARTS:
        raise ArgumentError(f"the part {part!r} is unknown: {nearest(part, PARTS)}")
    if points.ndim != 3 or points.shape[2] < 2 or visible.shape != points.shape[:2] or len(names) != points.shape[1]:
        raise ArgumentError(
            f"{part} boxes need keypoints (N, P, 2), visibility (N, P) and P names, "
            f"not {points.shape}, {visible.shape} and {len(names)}"
        )
    if visible.dtype != bool:
        raise ArgumentError(
            f"the visibility of keypoints has to be bool, not {visible.dtype}", "compare it with a threshold first"
        )
    columns = _columns(names, part)
    places, shown = points[:, columns, :2].astype(np.float64), visible[:, columns, None]
    invalid = (shown & ~np.isfinite(places)).any(axis=(1, 2))
    if invalid.any():
        raise ArgumentError(f"a visible keypoint of the {part} of sample {int(invalid.argmax())} is not finite")
    # Invisible keypoints are set to +-infinity, so that they never bound the box.
    low = np.where(shown, places, np.inf).min(axis=1)
    high = np.where(shown, places, -np.inf).max(axis=1)
    exists = shown.sum(axis=1) >= MIN_KEYPOINTS
    return np.where(exists, np.concatenate([low, high - low], axis=1), np.nan)


def _columns(names: Sequence[str], part: str) -> list[int]:
    """Return the positions of all keypoints of a part in `names`."""
    for name, times in Counter(names).items():
        if name not in HEAD | BODY:
            raise ArgumentError(f"the keypoint {name!r} is unknown: {nearest(name, HEAD | BODY)}")
        if times > 1:
            raise ArgumentError(f"the keypoint {name!r} occurs {times} times")
    if missing := sorted(PARTS[part] - set(names)):
        raise ArgumentError(f"a {part} box also needs the keypoints {', '.join(missing)}")
    return [position for position, name in enumerate(names) if name in PARTS[part]]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union (IoU) of pairs of boxes.

    Coordinates are continuous: a box of width 10 covers 10 px, not 11 px as in the convention of Pascal VOC. The IoU is
    0 if either box is missing. The IoU of identical boxes is 1 even if their area is 0, so that a perfect prediction is
    always correct.

    Args:
        a: (N, 4) x, y, width, height in pixels; a row that contains NaN is a missing box.
        b: (N, 4) as `a`.

    Returns:
        (N,) float64 from 0 to 1.

    Raises:
        ArgumentError: the shapes do not fit, or a box is infinite or has a negative width or height.

    Example:
        >>> iou(np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 5, 10]])).tolist()
        [0.5]
    """
    if a.ndim != 2 or a.shape[1] != 4 or a.shape != b.shape:
        raise ArgumentError(f"IoU needs boxes (N, 4) and (N, 4), not {a.shape} and {b.shape}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    for boxes in (a, b):
        invalid = np.isinf(boxes).any(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
        if invalid.any():
            raise ArgumentError(
                f"the box of sample {int(invalid.argmax())} is infinite or has a negative width or height"
            )
    present = ~np.isnan(a).any(axis=1) & ~np.isnan(b).any(axis=1)
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    intersection = np.maximum(high - low, 0).prod(axis=1)
    union = a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - intersection
    ratio = np.divide(intersection, union, out=np.zeros(len(a)), where=present & (union > 0))
    return np.where((a == b).all(axis=1), 1.0, ratio)


def pcp(predicted_boxes: np.ndarray, truth_boxes: np.ndarray, threshold: float = 0.5) -> Pcp:
    """Return the percentage of true boxes whose prediction has an IoU above `threshold` (Table 3).

    The paper requires an overlap "over 0.5", so an IoU of exactly 0.5 is wrong. A missing prediction is wrong. A
    prediction without a true box is ignored. On CUB-200-2011, the 5,794 test images have 5,785 head boxes and 5,758
    body boxes.

    Args:
        predicted_boxes: (N, 4) x, y, width, height in pixels; a row that contains NaN is a missing box.
        truth_boxes: (N, 4) as `predicted_boxes`.
        threshold: IoU to exceed, at least 0 and below 1.

    Raises:
        ArgumentError: as in `iou`, or the threshold is out of range.

    Example:
        >>> pcp(np.array([[0.0, 0, 6, 10], [0, 0, 5, 10]]), np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]]))
        Pcp(percent=50.0, total=2)
    """
    if not 0 <= threshold < 1:
        raise ArgumentError(f"the threshold of PCP has to be at least 0 and below 1, not {threshold}")
    # A missing true box has an IoU of 0, so it is never correct.
    correct = int((iou(predicted_boxes, truth_boxes) > threshold).sum())
    total = int((~np.isnan(truth_boxes).any(axis=1)).sum())
    return Pcp(100 * correct / total if total else float("nan"), total)

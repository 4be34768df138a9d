"""Head and body boxes from keypoints, and the percentage of correct parts, PCP.

Zhang, Shelhamer, Gao and Darrell, arXiv 1511.07063, section 4.2 and Table 3. The paper does not define the boxes. Those
shipped with the code of Part R-CNN (Zhang et al., ECCV 2014), which it compares with, equal for every image of
CUB-200-2011 the tight box of the visible keypoints of the sets below, and are absent where fewer than three of them are
visible.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from fgbench.datasets.bird_parts import BODY, HEAD, MIN_KEYPOINTS, PARTS
from fgbench.util.errors import FgbenchError, nearest


class Pcp(NamedTuple):
    """A percentage of correct parts and what it is a percentage of."""

    percent: float
    """Correct parts in percent of `total`; NaN when that is 0."""
    total: int
    """True boxes that exist."""


def part_boxes(
    points: np.ndarray, visible: np.ndarray, names: Sequence[str], part: Literal["head", "body"]
) -> np.ndarray:
    """Tight axis-aligned box of the visible keypoints of a part, for true and for predicted keypoints alike.

    Args:
        points: (N, P, 2), x, y in pixels of the original image; further columns are not looked at.
        visible: (N, P) bool, which keypoints are visible, or are predicted to be.
        names: names of the P keypoints as in CUB's parts.txt, in any order.
        part: `head` or `body`.

    Returns:
        (N, 4) float64: x, y, width, height in pixels, where the width is the difference of the outermost x (so a part
        with all its keypoints in line has no area); NaN where fewer than three keypoints of the part are visible.

    Raises:
        FgbenchError: shapes do not fit, `visible` is not bool, an unknown part, a name that is unknown, double or
            missing, or a visible keypoint that is not finite.
    """
    if part not in PARTS:
        raise FgbenchError(f"no part {part!r}: {nearest(part, PARTS)}")
    if points.ndim != 3 or points.shape[2] < 2 or visible.shape != points.shape[:2] or len(names) != points.shape[1]:
        raise FgbenchError(
            f"{part} boxes of keypoints {points.shape}, visibility {visible.shape} and {len(names)} names"
        )
    if visible.dtype != bool:
        raise FgbenchError(
            f"the visibility of keypoints is bool, not {visible.dtype}", "compare it with a threshold first"
        )
    columns = _columns(names, part)
    places, shown = points[:, columns, :2].astype(np.float64), visible[:, columns, None]
    broken = (shown & ~np.isfinite(places)).any(axis=(1, 2))
    if broken.any():
        raise FgbenchError(f"a visible keypoint of the {part} of sample {int(broken.argmax())} is not finite")
    # Hidden keypoints lie at infinity on the far side, so that they never bound the box.
    low = np.where(shown, places, np.inf).min(axis=1)
    high = np.where(shown, places, -np.inf).max(axis=1)
    exists = shown.sum(axis=1) >= MIN_KEYPOINTS
    return np.where(exists, np.concatenate([low, high - low], axis=1), np.nan)


def _columns(names: Sequence[str], part: str) -> list[int]:
    """Positions of the keypoints of a part; a box of only some of them would be another measure."""
    for name, times in Counter(names).items():
        if name not in HEAD | BODY:
            raise FgbenchError(f"no keypoint {name!r}: {nearest(name, HEAD | BODY)}")
        if times > 1:
            raise FgbenchError(f"the keypoint {name!r} stands {times} times")
    if missing := sorted(PARTS[part] - set(names)):
        raise FgbenchError(f"a {part} box needs the keypoints {', '.join(missing)} too")
    return [position for position, name in enumerate(names) if name in PARTS[part]]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of two boxes a sample, (N,) float64 from 0 to 1.

    The coordinates are continuous: a box of width 10 covers 10 px, not the 11 px centres of VOC's convention.
    It is 0 where either box is missing. A box without area overlaps nothing but, by definition, itself: the value
    between identical boxes is 1 whatever their area, so that a perfect prediction is always correct.

    Args:
        a: (N, 4), x, y, width, height in pixels; a row with a NaN is a missing box.
        b: (N, 4), likewise.

    Raises:
        FgbenchError: shapes do not fit, or a box is infinite or has a negative width or height.
    """
    if a.ndim != 2 or a.shape[1] != 4 or a.shape != b.shape:
        raise FgbenchError(f"overlap of boxes {a.shape} and {b.shape}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    for boxes in (a, b):
        broken = np.isinf(boxes).any(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
        if broken.any():
            raise FgbenchError(f"the box of sample {int(broken.argmax())} is infinite or has a negative extent")
    present = ~np.isnan(a).any(axis=1) & ~np.isnan(b).any(axis=1)
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared
    ratio = np.divide(shared, union, out=np.zeros(len(a)), where=present & (union > 0))
    return np.where((a == b).all(axis=1), 1.0, ratio)


def pcp(predicted_boxes: np.ndarray, truth_boxes: np.ndarray, threshold: float = 0.5) -> Pcp:
    """Share of the existing true boxes whose prediction overlaps them by more than `threshold`: Table 3.

    The paper asks for an overlap "over 0.5": one of exactly 0.5 is wrong. So is a missing prediction; a prediction
    where there is no true box is neither right nor wrong. On CUB-200-2011 the true boxes are 5,785 heads and 5,758
    bodies of the 5,794 test images.

    Args:
        predicted_boxes: (N, 4), x, y, width, height in pixels; a row with a NaN is a missing box.
        truth_boxes: (N, 4), likewise.
        threshold: overlap to exceed, from 0 to below 1.

    Raises:
        FgbenchError: as `iou`, or a threshold out of range.
    """
    if not 0 <= threshold < 1:
        raise FgbenchError(f"PCP needs a threshold from 0 to below 1, not {threshold}")
    # A missing true box overlaps nothing and so is never correct.
    correct = int((iou(predicted_boxes, truth_boxes) > threshold).sum())
    total = int((~np.isnan(truth_boxes).any(axis=1)).sum())
    return Pcp(100 * correct / total if total else float("nan"), total)

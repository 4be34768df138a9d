"""Classification accuracy: pure functions of arrays."""

import numpy as np

from fgbench.util.errors import FgbenchError


def correct(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which samples are right: (N,) bool.

    Args:
        scores: (N, C), higher is more likely; ties go to the lower class.
        labels: (N,) integers from 0 to C - 1.

    Raises:
        FgbenchError: shapes do not fit, no samples, a label out of range, or a score that is not finite.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise FgbenchError(f"accuracy of scores {scores.shape} against labels {labels.shape}")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise FgbenchError(f"a label outside 0 ... {scores.shape[1] - 1}")
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise FgbenchError(f"the scores of sample {row} are not finite")
    return scores.argmax(axis=1) == labels  # type: ignore[no-any-return]


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Per-image top-1 accuracy in percent; arguments as `correct`."""
    return float(correct(scores, labels).mean() * 100)


def mean_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur of their top-1 accuracy, in percent; arguments as `correct`."""
    right = correct(scores, labels)
    count = np.bincount(labels)
    hits = np.bincount(labels, weights=right)
    return float((hits[count > 0] / count[count > 0]).mean() * 100)

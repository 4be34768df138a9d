"""Classification accuracy."""

import numpy as np

from fgbench.util.errors import ArgumentError


def correct(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which samples are classified correctly: (N,) bool.

    Args:
        scores: (N, C), a higher score is more likely. Among equal scores, the lowest class is predicted.
        labels: (N,) integers from 0 to C - 1.

    Raises:
        ArgumentError: the shapes do not fit, there are no samples, a label is out of range, or a score is not finite.

    Example:
        >>> correct(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])).tolist()
        [True, False]
    """
    check_scores(scores, labels)
    return scores.argmax(axis=1) == labels  # type: ignore[no-any-return]


def check_scores(scores: np.ndarray, labels: np.ndarray) -> None:
    """Check scores and labels. Arguments and errors as in `correct`.

    Example:
        >>> check_scores(np.array([[0.9, 0.1]]), np.array([2]))
        Traceback (most recent call last):
        fgbench.util.errors.ArgumentError: a label is outside 0 ... 1
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ArgumentError(f"accuracy needs scores (N, C) and labels (N,), not {scores.shape} and {labels.shape}")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ArgumentError(f"a label is outside 0 ... {scores.shape[1] - 1}")
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise ArgumentError(f"the scores of sample {row} are not finite")


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the top-1 accuracy over images, in percent. Arguments and errors as in `correct`.

    Example:
        >>> accuracy(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
        50.0
    """
    return float(correct(scores, labels).mean() * 100)


def mean_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over classes of the top-1 accuracy, in percent. Arguments and errors as in `correct`.

    Classes without samples are ignored.

    Example:
        >>> mean_class_accuracy(np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]), np.array([0, 0, 1]))
        50.0
    """
    return mean_over_classes(correct(scores, labels), labels)


def mean_over_classes(hits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over classes of the share of hits, in percent.

    Args:
        hits: (N,) bool, which samples are classified correctly.
        labels: (N,) integers from 0.

    Example:
        >>> mean_over_classes(np.array([True, False, False]), np.array([0, 0, 1]))
        25.0
    """
    count = np.bincount(labels)
    class_hits = np.bincount(labels, weights=hits)
    return float((class_hits[count > 0] / count[count > 0]).mean() * 100)

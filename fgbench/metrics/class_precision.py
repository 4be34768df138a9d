"""Mean over the classes of the average precision, with which images are ranked by their score for a class."""

import numpy as np

from fgbench.metrics.accuracy import correct


def class_average_precisions(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the average precision of each class with samples, as a fraction: (K,), in the order of the classes.

    All samples are ranked by their score for a class. The average precision of the class is the mean, over its own
    samples, of the share of its samples among all that have at least the score of this sample. Precisions are not
    interpolated, as `ap` of VLFeat's `vl_pr`, from which B-CNN's mean average precision is (its `model_train.m`).
    Samples with equal scores count together, as in scikit-learn's `average_precision_score`.

    Args:
        scores: (N, C), a higher score is more likely.
        labels: (N,) integers from 0 to C - 1.

    Raises:
        ArgumentError: as for `fgbench.metrics.accuracy.correct`.

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> class_average_precisions(scores, np.array([0, 0, 1])).round(3).tolist()
        [0.833, 0.5]
    """
    correct(scores, labels)  # checks both
    order = np.argsort(labels, kind="stable")
    classes, starts = np.unique(labels[order], return_index=True)
    rows = np.split(order, starts[1:])  # the samples of each class
    return np.array([_average_precision(scores[:, c], of_class) for c, of_class in zip(classes, rows, strict=True)])


def _average_precision(scores: np.ndarray, rows: np.ndarray) -> float:
    """Return the average precision of the samples `rows` among all samples with scores (N,)."""
    own = np.sort(scores[rows])
    not_after = len(scores) - np.searchsorted(np.sort(scores), own)  # samples with at least the score of each
    own_not_after = len(own) - np.searchsorted(own, own)
    return float((own_not_after / not_after).mean())

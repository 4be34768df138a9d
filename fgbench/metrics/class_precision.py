"""Mean over the classes of the average precision, with which images are ranked by their score for a class."""

import numpy as np

from fgbench.metrics.accuracy import correct

BLOCK = 1 << 22
"""Number of scores that are compared at a time."""


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
    count = len(labels)
    precisions = np.empty(count)
    step = max(1, BLOCK // count)
    for start in range(0, count, step):
        classes = labels[start : start + step]
        of_class = scores[:, classes]  # (N, B): scores of all samples for the class of each sample of the block
        ranked = of_class >= scores[np.arange(start, start + len(classes)), classes]  # (N, B), not after the sample
        precisions[start : start + step] = (ranked & (labels[:, None] == classes)).sum(axis=0) / ranked.sum(axis=0)
    sizes = np.bincount(labels)
    return np.bincount(labels, weights=precisions)[sizes > 0] / sizes[sizes > 0]

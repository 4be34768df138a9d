"""Mean over the classes of the average precision, with which images are ranked by their score for a class."""

import numpy as np

from fgbench.metrics.accuracy import check_scores


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
    check_scores(scores, labels)
    own = scores[np.arange(len(labels)), labels]  # the score of each sample for its class
    order = np.lexsort((own, labels))  # class by class, the lowest score first
    own, labels = own[order], labels[order]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    sizes = np.diff(starts, append=len(labels))
    ends = np.repeat(starts + sizes, sizes)
    # For each sample: place of the first sample of its class with an equal score.
    is_first = np.ones(len(labels), bool)
    is_first[1:] = (labels[1:] != labels[:-1]) | (own[1:] != own[:-1])
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(labels)), 0))
    # For each sample: number of samples of all classes with a lower score for this class.
    columns = np.sort(scores.T[labels[starts]], axis=1)
    lower = np.concatenate(
        [column.searchsorted(values) for column, values in zip(columns, np.split(own, starts[1:]), strict=True)]
    )
    precisions = (ends - first) / (len(scores) - lower)
    return np.add.reduceat(precisions, starts) / sizes

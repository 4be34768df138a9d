"""One-sided tests for a decrease of the accuracy of single classes between two nights.

A class that is lost is a small part of the mean over all images, so the test of the mean does not find it.
"""

from collections.abc import Iterable

import numpy as np
from scipy import special, stats

from fgbench.statistics.holm_adjustment import holm
from fgbench.statistics.overdispersion import PRIOR_FREEDOM, Dispersion


def class_sums(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the number of right images of each class.

    Args:
        rows: (S, N) right (1) or wrong (0), one row a seed.
        labels: (N,) true classes, from 0.

    Returns:
        (S, C).

    Example:
        >>> class_sums(np.array([[1, 0, 1], [1, 1, 1]]), np.array([0, 0, 1])).tolist()
        [[1.0, 1.0], [2.0, 1.0]]
    """
    return np.stack([np.bincount(labels, weights=row) for row in rows.astype(np.float64)])


def estimate_class_dispersion(runs: Iterable[tuple[np.ndarray, np.ndarray]], expected: float) -> Dispersion:
    """Estimate how much more the accuracy of a class varies between trainings than independent images.

    It is the dispersion of quasi-likelihood (Wedderburn, Biometrika 61:439-447, 1974): the variance between seeds of
    the right images of a class, divided by the sum of the variances of its images, with the sums over all classes in
    numerator and denominator. It is combined with `expected`, which has PRIOR_FREEDOM degrees of freedom.

    Args:
        runs: for each run right and wrong images (S, N), one row a seed, and the true classes (N,).
        expected: prior ratio.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> rows, labels = rng.random((3, 1000)) < 0.5, np.arange(1000) % 50
        >>> 0.8 < estimate_class_dispersion([(rows, labels)], expected=1.0).ratio < 1.2
        True
    """
    total, freedom = float(PRIOR_FREEDOM * expected), float(PRIOR_FREEDOM)
    for rows, labels in runs:
        independent = float(rows.var(axis=0, ddof=1).sum()) if len(rows) > 1 else 0.0
        if independent:
            sums = class_sums(rows, labels)
            weight = (len(rows) - 1) * sums.shape[1]
            total += weight * float(sums.var(axis=0, ddof=1).sum()) / independent
            freedom += weight
    return Dispersion(total / freedom, freedom)


def class_decreases(
    base: np.ndarray, head: np.ndarray, labels: np.ndarray, dispersion: Dispersion | None
) -> list[float]:
    """Return the p-value of each class against "it is not worse in the second night", adjusted for all classes.

    Without training, the test of a class is the sign test of its images (McNemar, Psychometrika 12:153-157, 1947). The
    adjusted p-value is the probability that the smallest p-value of all classes is as small (Westfall and Wolfinger,
    Am. Stat. 51:3-8, 1997): a class in which few images differ cannot reach a small p-value and does not count.

    With training, it is a t test of the number of right images with Holm's correction. Its variance is the larger one
    of two: that of a beta-binomial distribution (Williams, Biometrics 31:949-952, 1975), whose correlation within
    images is that of all classes of the run, multiplied by `dispersion.ratio`; and that of the differences of the seeds
    of this class alone, so that a class lost in one training does not pass for a change of the code.

    Args:
        base: (S, N) right (1) or wrong (0) in the first night, one row a seed.
        head: (S, N) the same for the second night.
        labels: (N,) true classes, from 0.
        dispersion: dispersion of classes between trainings; None if nothing is trained.

    Example:
        >>> labels = np.arange(400) // 20
        >>> base = np.ones((1, 400))
        >>> head = base * (labels != 7)
        >>> p = class_decreases(base, head, labels, None)
        >>> p.index(min(p)), round(min(p) * 2.0**20, 6)
        (7, 1.0)
    """
    if dispersion is None:
        return _exact(base[0].astype(np.int64) - head[0].astype(np.int64), labels)
    seeds, (before, after) = len(base), (class_sums(night, labels) for night in (base, head))
    # Variance of the images of a class in one training, from the whole run.
    images = np.bincount(labels)
    share = (before.mean(axis=0) + after.mean(axis=0)) / 2 / np.maximum(images, 1)
    binomial = images * share * (1 - share)
    if seeds > 1:
        per_image = (base.var(axis=0, ddof=1) + head.var(axis=0, ddof=1)) / 2
    else:
        per_image = (base.astype(np.float64) - head)[0] ** 2 / 2
    expected = binomial * per_image.sum() / max(float(binomial.sum()), 1e-12)
    if seeds > 1:
        expected = np.maximum(expected, np.bincount(labels, weights=per_image))
    # Variance of the differences of the seeds of a class.
    own = seeds * (before - after).var(axis=0, ddof=1) if seeds > 1 else np.zeros_like(expected)
    error = np.sqrt(np.maximum(2 * seeds * dispersion.ratio * expected, own))
    lost = (before - after).sum(axis=0)
    statistic = np.divide(lost, error, out=np.zeros_like(lost), where=error > 0)
    return holm(special.stdtr(dispersion.freedom, -statistic).tolist())


def _exact(differences: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the adjusted p-values of the sign tests of all classes.

    Args:
        differences: (N,) right before minus right now: 1, 0 or -1.
        labels: (N,) true classes.
    """
    lower = np.bincount(labels[differences > 0], minlength=labels.max() + 1)
    changed = np.bincount(labels[differences != 0], minlength=labels.max() + 1)
    p = stats.binom.sf(lower - 1, changed, 0.5)
    # For each class and each p-value: the largest attainable p-value of the class that is not above it.
    log_none = np.zeros(len(p))
    for count, classes in zip(*np.unique(changed[changed > 0], return_counts=True), strict=True):
        attainable = stats.binom.sf(np.arange(count - 1, -2, -1), count, 0.5)
        reached = np.searchsorted(attainable, p * (1 + 1e-9), side="right")
        log_none += classes * np.log1p(-np.where(reached > 0, attainable[reached - 1], 0.0).clip(max=1 - 1e-12))
    return np.where(changed > 0, -np.expm1(log_none), 1.0).tolist()  # type: ignore[no-any-return]

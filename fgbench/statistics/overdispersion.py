"""One-sided tests for a decrease of a value between two nights.

The tests account for overdispersion: the mean over images varies more between trainings than independent images would
make it vary. They also reach the small p-values that many tests a night require.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from scipy import special, stats

from fgbench.statistics.paired import MAX_EXACT, paired_permutation
from fgbench.util.errors import ArgumentError

MIN_EXCEEDANCES = 20
"""Minimum number of random sign vectors beyond the observed sum for an estimated p-value; below it, a bound is used."""
RESAMPLES = 9999
"""Random sign vectors of a permutation test."""
PRIOR_FREEDOM = 20
"""Degrees of freedom of the expected dispersion, which is combined with the dispersion between seeds."""
MCNEMAR, SIGNS = "McNemar's exact test", "exact permutation test over seeds"
DRAWN = "paired permutation test"


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Variance of the mean over images between trainings, relative to independent images."""

    ratio: float
    """Variance between trainings divided by the variance if the images were independent."""
    freedom: float
    """Degrees of freedom of the ratio."""


def estimate_dispersion(runs: Iterable[Sequence[np.ndarray]], expected: float) -> Dispersion:
    """Estimate the dispersion between seeds from runs of the same night.

    The errors of networks from the same training procedure are nearly independent between images (Jordan, On the
    Variance of Neural Network Training with respect to Test Sets and Distributions, ICLR 2024). Small or briefly
    trained networks also vary as a whole. The ratio of the observed variance to the variance of independent images is
    the dispersion of quasi-likelihood (Wedderburn, Biometrika 61:439-447, 1974). Few seeds estimate it poorly, so the
    estimate is combined with `expected` (Smyth, Stat. Appl. Genet. Mol. Biol. 3:3, 2004).

    Args:
        runs: for each run its values, each (S, N): the contribution of each image, one row a seed.
        expected: prior ratio, with PRIOR_FREEDOM degrees of freedom.

    Example:
        >>> estimate_dispersion([], expected=2.5)
        Dispersion(ratio=2.5, freedom=20)
        >>> estimate_dispersion([[np.array([[1, 1, 1, 0], [0, 0, 1, 1]])]], expected=2.5).freedom
        21
    """
    total, freedom = 0.0, 0
    for values in runs:
        ratios = [ratio for rows in values if (ratio := variance_ratio(rows)) is not None]
        if ratios:
            seeds = len(values[0])
            total, freedom = total + (seeds - 1) * sum(ratios) / len(ratios), freedom + seeds - 1
    return Dispersion((PRIOR_FREEDOM * expected + total) / (PRIOR_FREEDOM + freedom), PRIOR_FREEDOM + freedom)


def variance_ratio(rows: np.ndarray) -> float | None:
    """Return the dispersion of one value, its variance between seeds divided by that of independent images.

    Args:
        rows: (S, N) contribution of each image, one row a seed.

    Returns:
        The ratio; None with one seed, or if no image differs between seeds.

    Example:
        >>> variance_ratio(np.array([[1, 1, 1, 0], [0, 0, 1, 1]])), variance_ratio(np.ones((1, 4)))
        (0.3333333333333333, None)
    """
    if len(rows) < 2:
        return None
    independent = float(rows.var(axis=0, ddof=1).sum()) / rows.shape[1] ** 2
    return float(rows.mean(axis=1).var(ddof=1)) / independent if independent else None


def decrease_test(base: np.ndarray, head: np.ndarray, dispersion: Dispersion | None) -> tuple[float, str]:
    """Test whether a value is lower in the second night than in the first, on the same images.

    Without training, the test is a sign-flip permutation test of the differences of the images, summed over seeds
    (Fisher, The Design of Experiments, section 21, 1935). For right and wrong (0 and 1), the distribution is computed
    exactly; with one seed it is McNemar's test (Psychometrika 12:153-157, 1947). For other values, such as average
    precisions, signs are drawn; if fewer than MIN_EXCEEDANCES draws reach the observed sum, the p-value is the upper
    bound of Hoeffding (J. Am. Stat. Assoc. 58:13-30, 1963, theorem 2).

    With training, the p-value is the larger one of that test and of a t test of the same sum with the standard error
    of `sum_error`.

    Args:
        base: (S, N) contribution of each image in the first night, one row a seed.
        head: (S, N) the same for the second night, with the same seeds and images.
        dispersion: dispersion between trainings; None if nothing is trained and no random number is drawn.

    Returns:
        The one-sided p-value against "the second night is not worse", and the name of the permutation test.

    Raises:
        ArgumentError: the shapes do not fit.

    Example:
        >>> base, head = np.ones((1, 10)), np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1.0]])
        >>> decrease_test(base, head, None)
        (0.03125, "McNemar's exact test")
        >>> round(decrease_test(base, head, Dispersion(ratio=2.5, freedom=20))[0], 3)
        0.086
    """
    if base.shape != head.shape or base.ndim != 2 or not base.size:
        raise ArgumentError(f"the nights have shapes {base.shape} and {head.shape}: not the same seeds and images")
    differences = (base.astype(np.float64) - head).sum(axis=0)
    # 1. Permutation test: independent images.
    if np.isin(np.concatenate([base, head]), (0.0, 1.0)).all():
        p, test = _exact_p(differences.astype(np.int64)), MCNEMAR if len(base) == 1 else SIGNS
    else:
        p, test = _sampled_p(differences / len(base)), DRAWN
    if dispersion is None:
        return p, test
    # 2. t test: the variance between trainings.
    error = sum_error(base, head, dispersion)
    if not error:
        return 1.0, test
    return max(p, float(special.stdtr(dispersion.freedom, -differences.sum() / error))), test


def sum_error(base: np.ndarray, head: np.ndarray, dispersion: Dispersion) -> float:
    """Return the standard error of the difference of two nights, summed over seeds and images.

    It is the larger one of two: that of independent images with their variance multiplied by `dispersion.ratio`, and
    that of the seeds of this run alone (Student, Biometrika 6:1-25, 1908). Since the second one is large if one seed
    differs from the others, a single bad training does not pass for a change of the code. It is multiplied by the share
    of images that differ between the nights relative to those that differ between seeds, if that is below 1: seeds that
    gave the same network in both nights did not vary.

    Args:
        base: (S, N) as for `decrease_test`.
        head: (S, N).
        dispersion: dispersion between trainings.

    Example:
        >>> base, head = np.ones((2, 50)), np.ones((2, 50))
        >>> head[0, :30] = 0
        >>> round(sum_error(base, head, Dispersion(ratio=1.0, freedom=20)), 1)
        30.0
    """
    differences = base.astype(np.float64) - head
    pooled = dispersion.ratio * float((differences.sum(axis=0) ** 2).sum())
    own = 0.0
    if len(base) > 1:
        own = len(base) * sum(float(night.sum(axis=1, dtype=np.float64).var(ddof=1)) for night in (base, head))
        between_seeds = len(base) * sum(float(night.var(axis=0, ddof=1).sum()) for night in (base, head))
        own *= min(1.0, float((differences**2).sum()) / between_seeds) if between_seeds else 0.0
    return sqrt(max(pooled, own))


def _exact_p(differences: np.ndarray) -> float:
    """Return the probability that a sum with random signs is at least the observed sum, for integers (N,).

    The sum with signs is twice the sum of the positive terms minus a constant. The distribution of that sum is a
    convolution of scaled binomial distributions, one for each size of a difference.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    distribution = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        scaled = np.zeros(size * count + 1)
        scaled[::size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        distribution = np.convolve(distribution, scaled)
    positive = int(differences[differences > 0].sum())
    return min(1.0, float(distribution[positive:].sum()))


def _sampled_p(differences: np.ndarray) -> float:
    """Return the one-sided p-value from random signs, or Hoeffding's bound if the p-value is too small for them."""
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    total = float(nonzero.sum())
    half = paired_permutation(differences, resamples=RESAMPLES) / 2
    if total <= 0:
        return 1.0 - half
    if len(nonzero) <= MAX_EXACT or half > MIN_EXCEEDANCES / RESAMPLES:
        return half
    return exp(-(total**2) / (2 * float((nonzero**2).sum())))

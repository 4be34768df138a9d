"""Comparisons of two methods on the same images."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from fgbench.statistics.intervals import BLOCK, RESAMPLES, Interval, bootstrap_interval
from fgbench.statistics.variance_components import Component, half_width, one_sided_p
from fgbench.util.errors import ArgumentError

MAX_EXACT = 13
"""Largest number of differences for which a permutation test enumerates all signs."""


@dataclass(frozen=True, slots=True)
class McNemar:
    """Result of McNemar's test: the images on which exactly one of two methods is right."""

    only_a: int
    """Number of images that only A classifies correctly."""
    only_b: int
    """Number of images that only B classifies correctly."""
    p: float
    """Two-sided exact p-value; conservative."""
    p_mid: float
    """Two-sided mid-p value. Its error rate is closer to the level and may slightly exceed it."""


def mcnemar(a: np.ndarray, b: np.ndarray) -> McNemar:
    """Test whether two methods have the same accuracy on the same images (McNemar, Psychometrika 12:153-157, 1947).

    The exact p-value uses the binomial distribution of the images on which the methods differ. The mid-p value is that
    of Fagerland, Lydersen and Laake (BMC Med. Res. Methodol. 13:91, 2013): twice the one-sided value. The test compares
    two trained networks; it ignores the variance between trainings (Dietterich, Neural Comput. 10:1895-1923, 1998).

    Args:
        a: (N,) bool, True where A is right.
        b: (N,) bool, True where B is right.

    Raises:
        ArgumentError: the shapes do not fit, or there are no images.

    Example:
        >>> a, b = np.array([0, 1, 1, 1, 1, 1, 1, 1]), np.array([1, 0, 0, 0, 0, 0, 0, 0])
        >>> result = mcnemar(a == 1, b == 1)
        >>> result.only_a, result.only_b, round(result.p, 4), round(result.p_mid, 4)
        (7, 1, 0.0703, 0.0391)
    """
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ArgumentError(
            f"McNemar's test compares arrays of shape (N,) for the same images, not {a.shape}, {b.shape}"
        )
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail, tie = float(stats.binom.cdf(fewer, n, 0.5)), float(stats.binom.pmf(fewer, n, 0.5))
    return McNemar(only_a, only_b, min(1.0, 2 * tail), min(1.0, 2 * tail - tie))


def paired_permutation(differences: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Return the two-sided p-value of a sign-flip permutation test of paired differences.

    The null hypothesis is that the differences are symmetric about 0 (Fisher, The Design of Experiments, section 21,
    1935; recommended for average precisions by Smucker, Allan and Carterette, CIKM 2007). Up to MAX_EXACT nonzero
    differences, all signs are enumerated. For more, random signs are drawn and the observed signs count as one more
    draw, so p is never 0 (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9:39, 2010).

    Args:
        differences: (N,), one difference an image.
        seed: seed of the random generator.
        resamples: number of random sign vectors.

    Example:
        >>> paired_permutation(np.array([0.1, 0.2, 0.3, 0.4]))
        0.125
    """
    nonzero = np.asarray(differences, dtype=np.float64)
    nonzero = nonzero[nonzero != 0]
    if not len(nonzero):
        return 1.0
    # A sum that differs from the observed sum only by rounding counts as equal.
    observed = abs(nonzero.sum()) - 1e-9 * np.abs(nonzero).sum()
    if len(nonzero) <= MAX_EXACT:
        signs = 1.0 - 2 * ((np.arange(1 << len(nonzero))[:, None] >> np.arange(len(nonzero))) & 1)
        return float((np.abs(signs @ nonzero) >= observed).mean())
    rng, step, exceedances = np.random.default_rng(seed), max(1, BLOCK // len(nonzero)), 0
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), len(nonzero))
        positive = rng.integers(2, size=size, dtype=np.int8).astype(np.float64)
        exceedances += int((np.abs(2 * (positive @ nonzero) - nonzero.sum()) >= observed).sum())
    return (exceedances + 1) / (resamples + 1)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Difference of two methods, A and B, on the same images."""

    value: float
    """Mean of A minus mean of B."""
    interval: Interval
    """95 % confidence interval of `value`."""
    p: float
    """Two-sided p-value against "no difference"."""
    n: int
    """Number of images."""
    test: str
    """Name of the test that gives `p`."""

    def times(self, factor: float) -> "PairedDifference":
        """Return the difference in another unit.

        Example:
            >>> PairedDifference(0.5, Interval(0.25, 0.75), 0.01, 100, "t test").times(100).interval
            Interval(low=25.0, high=75.0)
        """
        low, high = self.interval
        return replace(self, value=factor * self.value, interval=Interval(factor * low, factor * high))


def compare_crossed(a: np.ndarray, b: np.ndarray, *, fixed: bool = False, seed: int = 0) -> PairedDifference:
    """Compare two methods that were each run with several seeds on the same images.

    One run on each side: McNemar's exact test for values 0 and 1, else the paired permutation test; the interval is the
    paired bootstrap interval. The result is about the two trained networks.

    More seeds: the variance of the difference has several components (`fgbench.statistics.variance_components`): the
    images (differences of the means over seeds), and the seeds of each side. The interaction of image and seed counts
    in both, as in the pigeonhole bootstrap (Owen, Ann. Appl. Stat. 1:386-411, 2007). The two sides are not pooled,
    since their variances may differ. A side with one seed has the variance of the other side.

    Args:
        a: (S, N) values of method A, one row a seed, one column an image.
        b: (T, N) values of method B.
        fixed: a side with one row is deterministic, so it has no variance between seeds.
        seed: seed of bootstrap and permutation test.

    Raises:
        ArgumentError: the shapes do not fit.

    Example:
        >>> a, b = np.array([[1, 1, 1, 1, 1, 1, 0]]), np.array([[0, 0, 0, 0, 0, 0, 1]])
        >>> difference = compare_crossed(a, b)
        >>> round(difference.value, 3), difference.p, difference.test
        (0.714, 0.125, "McNemar's exact test of one trained network each")
    """
    if a.ndim != 2 or b.ndim != 2 or not a.size or not b.size or a.shape[1] != b.shape[1]:
        raise ArgumentError(f"a comparison needs shapes (S, N), (T, N) for the same images, not {a.shape}, {b.shape}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    per_image = a.mean(axis=0) - b.mean(axis=0)
    n, value = len(per_image), float(per_image.mean())
    # One run on each side.
    if len(a) == len(b) == 1:
        binary = np.isin(np.concatenate([a, b]), (0.0, 1.0)).all()
        p = mcnemar(a[0] == 1, b[0] == 1).p if binary else paired_permutation(per_image, seed=seed)
        test = "McNemar's exact test" if binary else "paired permutation test"
        scope = "" if fixed else " of one trained network each"
        return PairedDifference(value, bootstrap_interval(per_image, seed=seed), p, n, test + scope)
    # Component of the images.
    components: list[Component] = [(float(per_image.var(ddof=1)) / n, n - 1)] if n > 1 else []
    # Components of the seeds: one for each side with several seeds, for itself and a side with one seed.
    alone = sum(len(side) == 1 for side in (a, b)) if not fixed else 0
    for side in (a, b):
        if len(side) > 1:
            variance = float(side.mean(axis=1).var(ddof=1))
            components.append((variance * (1 / len(side) + alone), len(side) - 1))
    return PairedDifference(value, *_interval_and_p(value, components), n, "t test over images and seeds")


def compare_resampled(differences: np.ndarray, ratio: float, n: int) -> PairedDifference:
    """Compare two methods over several splits of the same data with the corrected resampled t test.

    Splits share images, so their differences are not independent. The variance of the mean over K splits is
    s^2 (1 / K + ratio) (Nadeau and Bengio, Machine Learning 52:239-281, 2003).

    Args:
        differences: (K,) difference of the means of A and B on each split; at least two splits.
        ratio: number of test images divided by number of training images of a split.
        n: number of test images of all splits.

    Example:
        >>> difference = compare_resampled(np.array([0.02, 0.05, 0.01, 0.04]), ratio=1.0, n=400)
        >>> round(difference.value, 3), round(difference.p, 3)
        (0.03, 0.238)
    """
    variance = float(differences.var(ddof=1)) * (1 / len(differences) + ratio)
    value = float(differences.mean())
    interval, p = _interval_and_p(value, [(variance, len(differences) - 1)])
    return PairedDifference(value, interval, p, n, "corrected resampled t test")


def _interval_and_p(value: float, components: list[Component]) -> tuple[Interval, float]:
    """Return the 95 % interval and the two-sided p-value of a difference."""
    half = half_width(components, 0.025)
    return Interval(value - half, value + half), min(1.0, 2 * one_sided_p(abs(value), components))

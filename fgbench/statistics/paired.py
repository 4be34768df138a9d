"""Two methods on the same images."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from fgbench.statistics.intervals import BLOCK, RESAMPLES, Interval, bootstrap_interval
from fgbench.statistics.variance_components import Part, half_width, one_sided
from fgbench.util.errors import FgbenchError

FEW = 13
"""Differences up to which all their signs are gone through."""


@dataclass(frozen=True, slots=True)
class McNemar:
    """Images on which two methods differ, and what they say."""

    only_a: int
    """Images that A alone gets right."""
    only_b: int
    """Images that B alone gets right."""
    p: float
    """Two-sided exact p-value: never too small, often too large."""
    p_mid: float
    """The same by mid-p: closer to its level, which it may exceed a little."""


def mcnemar(a: np.ndarray, b: np.ndarray) -> McNemar:
    """McNemar's test of methods that are right or wrong on the same images (McNemar, Psychometrika 12:153-157, 1947).

    Exact: by the binomial distribution of the images on which they differ. Mid-p: Fagerland, Lydersen and Laake, BMC
    Med. Res. Methodol. 13:91, 2013; as there, twice the one-sided value. It speaks of the two networks as they are
    trained, not of training them anew (Dietterich, Neural Comput. 10:1895-1923, 1998).

    Args:
        a: (N,) bool, right or wrong.
        b: (N,) bool.
    """
    a, b = _same(a, b)
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail, tie = float(stats.binom.cdf(fewer, n, 0.5)), float(stats.binom.pmf(fewer, n, 0.5))
    return McNemar(only_a, only_b, min(1.0, 2 * tail), min(1.0, 2 * tail - tie))


def paired_permutation(differences: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Two-sided p-value against "the differences are symmetric about 0", by turning their signs.

    Fisher's test (The Design of Experiments, section 21, 1935), which Smucker, Allan and Carterette (CIKM 2007) find
    fit for average precisions. All signs are gone through where they are few, else drawn; then the observed one counts
    as drawn, so that p is never 0 (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9:39, 2010).

    Args:
        differences: (N,), one an image.
        seed: of a generator of its own.
        resamples: how many signs are drawn.
    """
    moving = np.asarray(differences, dtype=np.float64)
    moving = moving[moving != 0]
    if not len(moving):
        return 1.0
    # A sum that differs from the observed one by rounding alone is as far from 0 as that one.
    reach = abs(moving.sum()) - 1e-9 * np.abs(moving).sum()
    if len(moving) <= FEW:
        signs = 1.0 - 2 * ((np.arange(1 << len(moving))[:, None] >> np.arange(len(moving))) & 1)
        return float((np.abs(signs @ moving) >= reach).mean())
    rng, step, as_far = np.random.default_rng(seed), max(1, BLOCK // len(moving)), 0
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), len(moving))
        signs = rng.integers(2, size=size, dtype=np.int8).astype(np.float64)
        as_far += int((np.abs(2 * (signs @ moving) - moving.sum()) >= reach).sum())
    return (as_far + 1) / (resamples + 1)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A measured on the same images as B."""

    value: float
    """Mean of A less mean of B."""
    interval: Interval
    """Of confidence 95 %."""
    p: float
    """Two-sided, against "no difference"."""
    n: int
    """Images."""
    test: str
    """By which test."""

    def times(self, factor: float) -> "PairedDifference":
        """In another unit."""
        low, high = self.interval
        return replace(self, value=factor * self.value, interval=Interval(factor * low, factor * high))


def compare_crossed(a: np.ndarray, b: np.ndarray, *, fixed: bool = False, seed: int = 0) -> PairedDifference:
    """The difference of two methods, each run with some seeds on the same images.

    With one run a side: McNemar's exact test where they are right or wrong, else the paired permutation test, with the
    paired bootstrap's interval. They speak of the two trained networks.

    With more seeds the variance of the difference has parts, tested as `statistics.parts` says: that of the images (of
    the differences of means over seeds) and that of the seeds. What an image and a seed have to do with each other is
    counted in both, as in the pigeonhole bootstrap (Owen, Ann. Appl. Stat. 1:386-411, 2007). Sides with as many seeds
    pool their spread, as in Student's test of two means (Biometrika 6:1-25, 1908); with three seeds each, 5 % become
    8 % where one side spreads eight times as widely. Sides with different numbers of seeds are parts of their own. A
    single seed is taken to spread like those of the other side.

    Args:
        a: (S, N), one row a seed, one column an image.
        b: (T, N).
        fixed: no random number enters a side that has one row, so that it has no spread over seeds.
        seed: of bootstrap and permutations.

    Raises:
        FgbenchError: shapes do not fit.
    """
    if a.ndim != 2 or b.ndim != 2 or not a.size or not b.size or a.shape[1] != b.shape[1]:
        raise FgbenchError(f"a comparison of {a.shape} and {b.shape}: they are not of the same images")
    a, b = a.astype(np.float64), b.astype(np.float64)
    each = a.mean(axis=0) - b.mean(axis=0)
    n, value = len(each), float(each.mean())
    if len(a) == len(b) == 1:
        binary = np.isin(np.concatenate([a, b]), (0.0, 1.0)).all()
        p = mcnemar(a[0] == 1, b[0] == 1).p if binary else paired_permutation(each, seed=seed)
        test = "McNemar's exact test" if binary else "paired permutation test"
        of = "" if fixed else " of one trained network each"
        return PairedDifference(value, bootstrap_interval(each, seed=seed), p, n, test + of)
    parts: list[Part] = [(float(each.var(ddof=1)) / n, n - 1)] if n > 1 else []
    means = [side.mean(axis=1) for side in (a, b) if len(side) > 1 or not fixed]
    counts = [len(own) for own in means]
    alike = min(counts) == 1 or len(set(counts)) == 1
    for own in [means] if alike else [[side] for side in means]:
        freedom = sum(len(side) - 1 for side in own)
        pooled = sum(float(((side - side.mean()) ** 2).sum()) for side in own) / freedom
        parts.append((pooled * sum(1 / len(side) for side in own), freedom))
    return PairedDifference(value, *_tested(value, parts), n, "t test over images and seeds")


def compare_resampled(differences: np.ndarray, ratio: float, n: int) -> PairedDifference:
    """The difference of two methods over several divisions of the same data, by the corrected resampled t test.

    Divisions share their images, so that their differences are not independent: the variance of the mean over K of them
    is s^2 (1 / K + ratio) (Nadeau and Bengio, Machine Learning 52:239-281, 2003).

    Args:
        differences: (K,) of the means of A and B on each division; two at least.
        ratio: test images over training images of a division.
        n: test images of all divisions.
    """
    variance = float(differences.var(ddof=1)) * (1 / len(differences) + ratio)
    value = float(differences.mean())
    return PairedDifference(value, *_tested(value, [(variance, len(differences) - 1)]), n, "corrected resampled t test")


def _tested(value: float, parts: list[Part]) -> tuple[Interval, float]:
    """95 % interval and two-sided p-value of a difference from the parts of its variance."""
    half = half_width(parts, 0.025)
    return Interval(value - half, value + half), min(1.0, 2 * one_sided(abs(value), parts))


def _same(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise FgbenchError(f"McNemar's test of {a.shape} and {b.shape}: they are not of the same images")
    return a, b

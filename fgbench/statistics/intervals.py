"""Confidence intervals."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from fgbench.util.errors import FgbenchError

RESAMPLES = 9999
"""Of every bootstrap and permutation test."""
BLOCK = 1 << 21
"""Numbers drawn at a time in a bootstrap or permutation test: 16 MiB."""


class Interval(NamedTuple):
    """A confidence interval, ends included."""

    low: float
    high: float


def wilson_interval(hits: float, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson, JASA 22:209-212, 1927), as fractions.

    It says how far a test set of `n` images drawn anew would move an accuracy.

    Raises:
        FgbenchError: `n` is not positive or `hits` is not between 0 and `n`.
    """
    if n <= 0 or not 0 <= hits <= n:
        raise FgbenchError(f"{hits} of {n} is not a proportion")
    z = stats.norm.ppf((1 + confidence) / 2)
    p, spread = hits / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(p * (1 - p) / n + spread / (4 * n))
    return Interval(max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def standard_error(interval: Interval, confidence: float = 0.95) -> float:
    """The standard error that a normal interval of this width has."""
    return float((interval.high - interval.low) / (2 * stats.norm.ppf((1 + confidence) / 2)))


def mean_interval(values: list[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean of repeated runs (Student, Biometrika 6:1-25, 1908); needs two values.

    Raises:
        FgbenchError: fewer than two values.
    """
    if len(values) < 2:
        raise FgbenchError(f"an interval over runs needs two of them, here is {len(values)}")
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / np.sqrt(len(values))
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return Interval(mean - half, mean + half)


def bootstrap_interval(
    values: np.ndarray, confidence: float = 0.95, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Bootstrap interval of a mean, bias-corrected and accelerated, BCa (Efron, JASA 82:171-185, 1987).

    For the differences of two methods on the same images it is the paired bootstrap.

    Args:
        values: (N,), one an image.
        confidence: as elsewhere.
        seed: of a generator of its own, so that the interval is the same every time.
        resamples: how often N images are drawn with replacement.

    Raises:
        FgbenchError: no values.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise FgbenchError(f"a bootstrap needs one value an image, not {values.shape}")
    mean, deviations = float(values.mean()), values - values.mean()
    square = float((deviations**2).sum())
    if not square:
        return Interval(mean, mean)
    means = _resampled_means(values, np.random.default_rng(seed), resamples)
    bias = stats.norm.ppf(((means < mean).sum() + (means <= mean).sum()) / (2 * resamples))
    acceleration = float((deviations**3).sum()) / (6 * square**1.5)
    z = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.quantile(means, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return Interval(float(low), float(high))


def _resampled_means(values: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """Means of N values drawn with replacement, (resamples,)."""
    different, counts = np.unique(values, return_counts=True)
    n = len(values)
    # How often each different value is drawn is multinomial: quick where there are few, as with right and wrong.
    if len(different) <= 64:
        return rng.multinomial(n, counts / n, size=resamples) @ different / n  # type: ignore[no-any-return]
    step = max(1, BLOCK // n)
    rows = (min(step, resamples - start) for start in range(0, resamples, step))
    return np.concatenate([values[rng.integers(n, size=(row, n))].mean(axis=1) for row in rows])

"""Confidence intervals of proportions and means."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from fgbench.util.errors import ArgumentError

RESAMPLES = 9999
"""Default number of resamples of a bootstrap or permutation test."""
BLOCK = 1 << 21
"""Random numbers drawn at a time in a bootstrap or permutation test: 16 MiB."""


class Interval(NamedTuple):
    """A confidence interval that includes its ends."""

    low: float
    """Lower end."""
    high: float
    """Upper end."""


@lru_cache(maxsize=64)
def _normal_quantile(level: float) -> float:
    return float(stats.norm.ppf(level))


@lru_cache(maxsize=1024)
def _t_quantile(level: float, freedom: int) -> float:
    return float(stats.t.ppf(level, freedom))


def wilson_interval(hits: float, n: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion (Wilson, JASA 22:209-212, 1927).

    For an accuracy, it is the interval of the accuracy on another test set of `n` images.

    Args:
        hits: number of successes. It may be fractional if it is a mean over repetitions.
        n: number of trials.
        confidence: confidence level.

    Returns:
        The interval as fractions from 0 to 1.

    Raises:
        ArgumentError: `n` is not positive, or `hits` is not between 0 and `n`.

    Example:
        >>> low, high = wilson_interval(84, 100)
        >>> round(low, 3), round(high, 3)
        (0.756, 0.899)
    """
    if n <= 0 or not 0 <= hits <= n:
        raise ArgumentError(f"{hits} of {n} is not a proportion")
    z = _normal_quantile((1 + confidence) / 2)
    p, spread = hits / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(p * (1 - p) / n + spread / (4 * n))
    return Interval(max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def standard_error(interval: Interval, confidence: float = 0.95) -> float:
    """Return the standard error of a normal distribution whose confidence interval has this width.

    It is the inverse of the Wald interval: width = 2 z standard_error.

    Args:
        interval: confidence interval.
        confidence: confidence level of `interval`.

    Example:
        >>> round(standard_error(Interval(10.0, 20.0)), 3)
        2.551
    """
    return float((interval.high - interval.low) / (2 * _normal_quantile((1 + confidence) / 2)))


def mean_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Interval:
    """Return the t interval of the mean of independent values (Student, Biometrika 6:1-25, 1908).

    Args:
        values: at least two values, such as one a seed.
        confidence: confidence level.

    Raises:
        ArgumentError: there are fewer than two values.

    Example:
        >>> low, high = mean_interval([84.1, 83.6, 84.5, 84.0])
        >>> f"{low:.2f} to {high:.2f}"
        '83.46 to 84.64'
    """
    if len(values) < 2:
        raise ArgumentError(f"an interval of a mean needs at least two values, not {len(values)}")
    sample = np.asarray(values, float)
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(len(sample))
    half = _t_quantile((1 + confidence) / 2, len(values) - 1) * error
    return Interval(mean - half, mean + half)


def bootstrap_interval(
    values: np.ndarray, confidence: float = 0.95, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Return the bias-corrected and accelerated bootstrap interval (BCa) of a mean (Efron, JASA 82:171-185, 1987).

    For the differences of two methods on the same images, it is the paired bootstrap.

    Args:
        values: (N,), one value an image.
        confidence: confidence level.
        seed: seed of the random generator. The same seed gives the same interval.
        resamples: number of bootstrap samples; each draws N images with replacement.

    Raises:
        ArgumentError: `values` is empty or is not one-dimensional.

    Example:
        >>> low, high = bootstrap_interval(np.arange(20.0))
        >>> low < 9.5 < high
        True
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ArgumentError(f"a bootstrap needs one value an image, (N,), not {values.shape}")
    mean, deviations = float(values.mean()), values - values.mean()
    square = float((deviations**2).sum())
    if not square:
        return Interval(mean, mean)
    means = _resampled_means(values, np.random.default_rng(seed), resamples)
    # Bias correction z0 and acceleration a of the BCa interval.
    bias = stats.norm.ppf(((means < mean).sum() + (means <= mean).sum()) / (2 * resamples))
    acceleration = float((deviations**3).sum()) / (6 * square**1.5)
    z = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.quantile(means, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return Interval(float(low), float(high))


def _resampled_means(values: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """Return means of N values drawn with replacement: (resamples,)."""
    different, counts = np.unique(values, return_counts=True)
    n = len(values)
    # The counts of the different values are multinomial. This is fast for few different values, such as 0 and 1.
    if len(different) <= 64:
        return rng.multinomial(n, counts / n, size=resamples) @ different / n  # type: ignore[no-any-return]
    step = max(1, BLOCK // n)
    rows = (min(step, resamples - start) for start in range(0, resamples, step))
    return np.concatenate([values[rng.integers(n, size=(row, n))].mean(axis=1) for row in rows])

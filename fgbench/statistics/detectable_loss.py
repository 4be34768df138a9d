"""The smallest loss between two nights that a test finds with a given probability."""

import numpy as np
from scipy import optimize, special, stats

from fgbench.statistics.overdispersion import Dispersion

_QUANTILES = (np.arange(200) + 0.5) / 200


def detectable_count(differing: int, level: float, power: float) -> int:
    """Return the number of images that must get lost so that the exact paired test finds it.

    Args:
        differing: number of images that differ between the nights for other reasons, each equally likely better or
            worse.
        level: level of the test.
        power: probability to find the loss.

    Example:
        >>> detectable_count(0, 0.00025, 0.9), detectable_count(100, 0.00025, 0.9)
        (12, 57)
    """
    usual = int(stats.binom.isf(power, differing, 0.5)) if differing else 0
    count = 1
    while stats.binom.sf(usual + count - 1, differing + count, 0.5) > level:
        count += 1
    return count


def detectable_loss(base: np.ndarray, head: np.ndarray, dispersion: Dispersion, level: float, power: float) -> float:
    """Return the loss, as a part of 1, that the t test of `decrease_test` finds with a given power.

    The noise is that between the two nights. A loss also adds to the variance that the test estimates, at most as if
    every seed loses the same images. The variance between the seeds of the run alone, which the test uses if it is
    larger, varies with 2 (S - 1) degrees of freedom.

    Args:
        base: (S, N) contribution of each image in the first night, one row a seed.
        head: (S, N) the same for the second night.
        dispersion: dispersion between trainings.
        level: level of the test.
        power: probability to find the loss.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> base, head = rng.random((2, 3, 5794)) < 0.84
        >>> round(100 * detectable_loss(base, head, Dispersion(1.25, 32), 0.0001, 0.9), 1)
        2.9
    """
    seeds, images = base.shape
    ratio = max(dispersion.ratio, 1.0)
    squares = float(((base.astype(np.float64) - head).sum(axis=0) ** 2).sum())
    noise = np.sqrt(ratio * squares)
    freedom = 2 * (seeds - 1)
    own = np.zeros(1)
    if freedom:
        own = noise**2 * stats.chi2.ppf(_QUANTILES, freedom) / freedom
    quantile = -float(special.stdtrit(dispersion.freedom, level))

    def missing_power(loss: float) -> float:
        pooled = ratio * (squares + seeds * loss)
        distance = loss - quantile * np.sqrt(np.maximum(pooled, own))
        return float(special.ndtr(distance / max(noise, 1e-9)).mean()) - power

    most = float(seeds * images)
    if missing_power(most) < 0:
        return 1.0
    return float(optimize.brentq(missing_power, 0.0, most)) / most

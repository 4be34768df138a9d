"""Intervals and tests, each with its source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from fgbench.errors import FgbenchError


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


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Outcome of two one-sided tests of a mean against `target` +- `margin`."""

    p_low: float
    """p-value against "the mean is at or below target - margin"."""
    p_high: float
    """p-value against "the mean is at or above target + margin"."""

    @property
    def p(self) -> float:
        """p-value against "the mean is outside the margin": equivalence is claimed when it is small."""
        return max(self.p_low, self.p_high)


def tost(values: list[float], target: float, margin: float) -> Equivalence:
    """Two one-sided t tests of equivalence (Schuirmann, J. Pharmacokinet. Biopharm. 15:657-680, 1987).

    Identical values have no spread: the tests then answer 0 or 1 by where the mean lies.

    Raises:
        FgbenchError: fewer than two values, or a margin that is not positive.
    """
    if len(values) < 2 or margin <= 0:
        raise FgbenchError(
            f"an equivalence test needs two values and a positive margin, not {len(values)} and {margin}"
        )
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / np.sqrt(len(values))
    above, below = mean - (target - margin), (target + margin) - mean
    if error == 0:
        return Equivalence(float(above <= 0), float(below <= 0))
    freedom = len(values) - 1
    return Equivalence(float(stats.t.sf(above / error, freedom)), float(stats.t.sf(below / error, freedom)))


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """cost = factor * size ** exponent."""

    exponent: float
    interval: Interval
    """Of the exponent."""
    factor: float


def power_law(sizes: Sequence[float], costs: Sequence[float], confidence: float = 0.95) -> PowerLaw:
    """Least squares of log cost on log size, with Student's t interval of the slope.

    The interval speaks of how far the points are from a line, which is also where the law is no power: a fixed cost
    beside one that grows bends it.

    Raises:
        FgbenchError: fewer than three points or two sizes, or a size or cost that is not positive and finite.
    """
    x, y = np.asarray(sizes, dtype=float), np.asarray(costs, dtype=float)
    ends = np.concatenate([x, y])
    if len(x) != len(y) or len(x) < 3 or len(set(sizes)) < 2 or not (np.isfinite(ends) & (ends > 0)).all():
        raise FgbenchError(
            f"an exponent needs three points of two sizes, all positive, not {list(sizes)} and {list(costs)}"
        )
    x, y = np.log(x), np.log(y)
    away = x - x.mean()
    slope = float(away @ y / (away @ away))
    rest = y - y.mean() - slope * away
    error = float(np.sqrt(rest @ rest / (len(x) - 2) / (away @ away)))
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 2)) * error
    return PowerLaw(slope, Interval(slope - half, slope + half), float(np.exp(y.mean() - slope * x.mean())))

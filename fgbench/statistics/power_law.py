"""Fit of a power law: how a cost grows with a size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fgbench.statistics.intervals import Interval
from fgbench.util.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """The law cost = factor * size ** exponent."""

    exponent: float
    """Slope of log cost on log size."""
    interval: Interval
    """Confidence interval of the exponent."""
    factor: float
    """Cost at size 1."""


def power_law(sizes: Sequence[float], costs: Sequence[float], confidence: float = 0.95) -> PowerLaw:
    """Fit a power law by ordinary least squares of log cost on log size.

    The interval is the t interval of a regression slope (Student, Biometrika 6:1-25, 1908; Draper and Smith, Applied
    Regression Analysis, chapter 1). It is wide if the points do not lie on a line in logarithms, for example if a
    constant cost adds to a cost that grows.

    Args:
        sizes: N sizes, such as numbers of images.
        costs: N costs, such as seconds.
        confidence: confidence level of the interval.

    Raises:
        ArgumentError: there are fewer than three points or two different sizes, or a size or cost is not positive and
            finite.

    Example:
        >>> law = power_law([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0])
        >>> round(law.exponent, 3), round(law.factor, 3)
        (2.0, 3.0)
    """
    x, y = np.asarray(sizes, dtype=float), np.asarray(costs, dtype=float)
    both = np.concatenate([x, y])
    if len(x) != len(y) or len(x) < 3 or len(set(sizes)) < 2 or not (np.isfinite(both) & (both > 0)).all():
        raise ArgumentError(
            "a power law needs at least three points with two different sizes, all positive, "
            f"not {list(sizes)} and {list(costs)}"
        )
    x, y = np.log(x), np.log(y)
    centered = x - x.mean()
    slope = float(centered @ y / (centered @ centered))
    residuals = y - y.mean() - slope * centered
    error = float(np.sqrt(residuals @ residuals / (len(x) - 2) / (centered @ centered)))
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 2)) * error
    return PowerLaw(slope, Interval(slope - half, slope + half), float(np.exp(y.mean() - slope * x.mean())))

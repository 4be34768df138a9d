"""How cost grows with size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fgbench.statistics.intervals import Interval
from fgbench.util.errors import FgbenchError


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

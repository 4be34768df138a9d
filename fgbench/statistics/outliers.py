"""Values of seeds that are far from the others, such as a training that did not converge."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

LEVEL = 0.01
"""Default level of the test for each number of outliers."""
MAX_SHARE = 0.4
"""Default of the largest share of the values that counts as outliers; at least one value is tested."""
MIN_VALUES = 3
"""Least number of values of a test."""


def find_outliers(values: Sequence[float], *, level: float = LEVEL, max_share: float = MAX_SHARE) -> list[int]:
    """Return the positions of outliers by the generalized extreme studentized deviate test.

    The value that is farthest from the mean is removed, again and again, up to a share of the values. The number of
    outliers is the largest one whose last removed value was significant, so that several outliers do not hide each
    other (Rosner, Technometrics 25:165-172, 1983). The critical values are those of normal values; values with heavy
    tails have more outliers.

    Args:
        values: one value a seed; fewer than MIN_VALUES have no outliers.
        level: level of the test for each number of outliers.
        max_share: largest share of the values that counts as outliers; at least one value is tested.

    Example:
        >>> find_outliers([84.1, 84.0, 73.9, 84.2, 83.9, 84.0])
        [2]
        >>> find_outliers([84.1, 84.0, 83.9, 84.2, 83.9, 84.0])
        []
    """
    remaining = list(range(len(values)))
    removed: list[int] = []
    outliers = 0
    for _ in range(max(1, int(len(values) * max_share))):
        n = len(remaining)
        x = np.array([values[k] for k in remaining], dtype=np.float64)
        if n < MIN_VALUES or not x.std():
            break
        deviations = np.abs(x - x.mean())
        farthest = int(deviations.argmax())
        removed.append(remaining.pop(farthest))
        if deviations[farthest] / x.std(ddof=1) > _critical_value(n, level):
            outliers = len(removed)
    return sorted(removed[:outliers])


def _critical_value(n: int, level: float) -> float:
    """Return the critical value of the largest studentized deviation of n normal values."""
    t = float(stats.t.isf(level / (2 * n), n - 2))
    return float((n - 1) / n**0.5 * (t**2 / (n - 2 + t**2)) ** 0.5)


def unseen_share(n: int, confidence: float = 0.95) -> float:
    """Return the largest share of cases that n values without such a case do not exclude.

    It is the exact upper limit of a proportion with no success (Clopper and Pearson, Biometrika 26:404-413, 1934).

    Args:
        n: number of values.
        confidence: confidence of the limit.

    Example:
        >>> round(unseen_share(5), 2), round(unseen_share(30), 3)
        (0.45, 0.095)
    """
    return float(1 - (1 - confidence) ** (1 / n))

"""Adjustment of p-values for multiple tests."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple tests (Holm, Scand. J. Stat. 6:65-70, 1979).

    The adjustment controls the family-wise error rate: the probability of one or more false positives among all tests.

    Args:
        p_values: p-values in any order.

    Returns:
        Adjusted p-values in the same order. A test is significant at level alpha if its adjusted p-value is at most
        alpha.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = p.argsort()
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted.tolist()  # type: ignore[no-any-return]

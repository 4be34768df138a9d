"""Detection of change points: positions at which the level of a series shifts."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

ALPHA = 0.001
"""Default level of each test for a change point."""
ORDERS = 9999
"""Random orders of a permutation test."""
BLOCK = 100
"""Orders that are drawn at once. For a series without a shift, few orders are enough."""
MIN_SEGMENT = 3
"""Minimum number of values between two change points."""


@dataclass(frozen=True, slots=True)
class LevelShift:
    """A change of the level of a series."""

    at: int
    """Index of the first value of the new level."""
    before: float
    """Mean of the values before the shift, back to the previous shift."""
    after: float
    """Mean of the values after the shift, up to the next shift."""
    p: float
    """p-value against "all values are independent and have the same distribution"."""


def find_level_shifts(values: np.ndarray, *, alpha: float = ALPHA, seed: int = 0) -> list[LevelShift]:
    """Find level shifts by binary segmentation (Vostrikova, Soviet Math. Dokl. 24:55-59, 1981).

    The statistic of a segment is the largest standardized cumulative sum of its centered ranks (CUSUM; Page, Biometrika
    41:100-115, 1954). A permutation test gives its p-value (Matteson and James, J. Am. Stat. Assoc. 109:334-345, 2014;
    used for performance tests by Daly et al., ICPE 2020). A segment with p <= `alpha` is split at the largest sum, and
    both halves are tested again.

    The probability of a false shift is `alpha` if the values are independent and have one distribution. It is much
    higher if neighbouring values are alike: a drift is a series of shifts. The shifts are marks for a reader, not
    findings. Ranks limit the effect of one outlier. At the default level, a shift needs about six values on each side.
    Two shifts that cancel each other are found only if the level between them is long.

    Args:
        values: (N,), one value a night.
        alpha: level of each test.
        seed: seed of the random orders.

    Example:
        >>> [shift.at for shift in find_level_shifts(np.arange(24) // 12 + np.arange(24) % 3 / 10)]
        [12]
    """
    x = np.asarray(values, dtype=np.float64)
    cuts = sorted(_split(x, 0, len(x), alpha, np.random.default_rng(seed)))
    ends = [0, *(at for at, _ in cuts), len(x)]
    means = [float(x[a:b].mean()) for a, b in pairwise(ends) if b > a]
    return [LevelShift(at, means[k], means[k + 1], p) for k, (at, p) in enumerate(cuts)]


def _split(x: np.ndarray, start: int, end: int, alpha: float, rng: np.random.Generator) -> list[tuple[int, float]]:
    """Return the change points of x[start:end] with their p-values."""
    segment = x[start:end]
    if len(segment) < 2 * MIN_SEGMENT or (segment == segment[0]).all():
        return []
    ranks = _centered_ranks(segment)
    scores = _scores(ranks[None])[0]
    # An order whose score differs only by rounding counts as equal.
    p = _permutation_p(ranks, scores.max() - 1e-9, alpha, rng)
    if p > alpha:
        return []
    at = start + MIN_SEGMENT + int(scores.argmax())
    return [*_split(x, start, at, alpha, rng), (at, p), *_split(x, at, end, alpha, rng)]


def _permutation_p(ranks: np.ndarray, observed: float, alpha: float, rng: np.random.Generator) -> float:
    """Return the p-value over `ORDERS` random orders; as soon as it must be above `alpha`, a value above `alpha`."""
    larger = drawn = 0
    while drawn < ORDERS:
        count = min(BLOCK, ORDERS - drawn)
        orders = rng.permuted(np.tile(ranks, (count, 1)), axis=1)
        larger += int((_scores(orders).max(axis=1) >= observed).sum())
        drawn += count
        if (1 + larger) / (ORDERS + 1) > alpha:
            break
    return (1 + larger) / (drawn + 1)


def _centered_ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    ranks = rankdata(values)
    return np.asarray(ranks - ranks.mean(), dtype=np.float64)


def _scores(rows: np.ndarray) -> np.ndarray:
    """Return the difference of the two sides of each split, in standard errors up to a constant factor.

    Args:
        rows: (R, N) centered ranks.

    Returns:
        (R, N - 2 MIN_SEGMENT + 1), one score for each split position.
    """
    n = rows.shape[1]
    sizes = np.arange(MIN_SEGMENT, n - MIN_SEGMENT + 1)
    sums = rows.cumsum(axis=1)[:, MIN_SEGMENT - 1 : n - MIN_SEGMENT]
    scores: np.ndarray = np.abs(sums) / np.sqrt(sizes * (n - sizes) / n)
    return scores

"""Where a series steps from one level to another."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

ALPHA = 0.001
DRAWS = 9999
LEAST = 3
"""Values between two steps, at least."""


@dataclass(frozen=True, slots=True)
class LevelShift:
    """A change of level."""

    at: int
    """The first value of the new level."""
    before: float
    """Mean of the level that ends."""
    after: float
    """Mean of the level that begins."""
    p: float


def find_level_shifts(values: np.ndarray, *, alpha: float = ALPHA, seed: int = 0) -> list[LevelShift]:
    """Steps by binary segmentation (Vostrikova, Soviet Math. Dokl. 24:55-59, 1981).

    A stretch is divided where the cumulated sum of its ranks' distances from their mean, by its standard error, is
    farthest from 0 (a CUSUM; Page, Biometrika 41:100-115, 1954), when at most `alpha` of the orders of the same values
    have one as far (a permutation test, as in Matteson and James, J. Am. Stat. Assoc. 109:334-345, 2014, and in the
    performance tests of MongoDB: Daly et al., ICPE 2020). So the chance of any mark in a series without step is alpha.
    Ranks keep one odd night from being a step; with them about six nights a side are the fewest that can show one.
    Two steps that cancel are found only where the level between them lasts long.

    Args:
        values: (N,), one a night.
        alpha: level.
        seed: of the orders.
    """
    x = np.asarray(values, dtype=np.float64)
    cuts = sorted(_divide(x, 0, len(x), alpha, np.random.default_rng(seed)))
    ends = [0, *(at for at, _ in cuts), len(x)]
    means = [float(x[a:b].mean()) for a, b in pairwise(ends) if b > a]
    return [LevelShift(at, means[k], means[k + 1], p) for k, (at, p) in enumerate(cuts)]


def _divide(x: np.ndarray, start: int, end: int, alpha: float, rng: np.random.Generator) -> list[tuple[int, float]]:
    part = x[start:end]
    if len(part) < 2 * LEAST or (part == part[0]).all():
        return []
    ranks = _ranks(part)
    scores = _scores(ranks[None])[0]
    reach = scores.max() - 1e-9
    orders = rng.permuted(np.tile(ranks, (DRAWS, 1)), axis=1)
    p = (1 + int((_scores(orders).max(axis=1) >= reach).sum())) / (DRAWS + 1)
    if p > alpha:
        return []
    at = start + LEAST + int(scores.argmax())
    return [*_divide(x, start, at, alpha, rng), (at, p), *_divide(x, at, end, alpha, rng)]


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    ranks = rankdata(values)
    return np.asarray(ranks - ranks.mean(), dtype=np.float64)


def _scores(rows: np.ndarray) -> np.ndarray:
    """(R, N - 2 LEAST + 1), how far apart the two sides of every division are, in standard errors but for a factor."""
    n = rows.shape[1]
    sizes = np.arange(LEAST, n - LEAST + 1)
    sums = rows.cumsum(axis=1)[:, LEAST - 1 : n - LEAST]
    distances: np.ndarray = np.abs(sums) / np.sqrt(sizes * (n - sizes) / n)
    return distances

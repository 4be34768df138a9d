"""Is the same run worse than the night before? One-sided tests that reach the small p-values of many tests a night."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from scipy import special, stats

from fgbench.statistics.paired import FEW, paired_permutation
from fgbench.util.errors import FgbenchError

SEEN = 20
"""So many of the drawn signs have to lie as far out for their share to stand; else the bound is told."""
RESAMPLES = 9999
WORTH = 20
"""Degrees of freedom that the expected luck of trainings counts for, beside what seeds show."""
MCNEMAR, SIGNS = "McNemar's exact test", "exact permutation test over seeds"
DRAWN = "paired permutation test"


@dataclass(frozen=True, slots=True)
class Dispersion:
    """How much more the mean over images differs from training to training than if each image threw its own coin."""

    ratio: float
    """Of the variances."""
    freedom: float
    """Degrees of freedom."""


def estimate_dispersion(runs: Iterable[Sequence[np.ndarray]], expected: float) -> Dispersion:
    """The dispersion over seeds as runs of the same night show it, pooled as in quasi-likelihood.

    Networks trained alike err on each image nearly by a coin of its own (Jordan, On the Variance of Neural Network
    Training with respect to Test Sets and Distributions, ICLR 2024), but small and briefly trained ones are better and
    worse as a whole as well. The ratio of what is seen to what coins would do is the dispersion of Wedderburn
    (Biometrika 61:439-447, 1974). Few seeds show it badly, so it leans on what is expected as variances do in
    `statistics.moderated`.

    Args:
        runs: for each run its values, each (S, N): what an image contributes, one row a seed.
        expected: the ratio where there are no seeds to see it.
    """
    total, freedom = 0.0, 0
    for values in runs:
        ratios = [ratio for rows in values if (ratio := _ratio(rows)) is not None]
        if ratios:
            seeds = len(values[0])
            total, freedom = total + (seeds - 1) * sum(ratios) / len(ratios), freedom + seeds - 1
    return Dispersion((WORTH * expected + total) / (WORTH + freedom), WORTH + freedom)


def _ratio(rows: np.ndarray) -> float | None:
    if len(rows) < 2:
        return None
    coins = float(rows.var(axis=0, ddof=1).sum()) / rows.shape[1] ** 2
    return float(rows.mean(axis=1).var(ddof=1)) / coins if coins else None


def decrease_test(base: np.ndarray, head: np.ndarray, luck: Dispersion) -> tuple[float, str]:
    """One-sided p-value against "the second night is not worse on these images", and by which test.

    The images' differences, averaged over seeds, have their signs turned (Fisher, The Design of Experiments, section
    21, 1935). Right and wrong make whole differences, and then the sum has a distribution that is worked out and not
    drawn; of one run this is McNemar's exact test (Psychometrika 12:153-157, 1947). Of other values (average
    precisions) signs are drawn; where few of the drawn lie as far out as what was seen, their place is taken by
    Hoeffding's bound on a sum of random signs (J. Am. Stat. Assoc. 58:13-30, 1963), which is never below the p-value.

    That is the coins' part. Trained anew, networks differ by more: the same sum is held against Student's distribution
    with the coins' variance times `luck`, and the larger p-value counts.

    Args:
        base: (S, N), what each image contributes, one row a seed.
        head: (S, N), the same seeds and images.
        luck: of trainings.

    Raises:
        FgbenchError: shapes do not fit.
    """
    if base.shape != head.shape or base.ndim != 2 or not base.size:
        raise FgbenchError(f"a comparison of {base.shape} and {head.shape}: they are not of the same seeds and images")
    each = (base.astype(np.float64) - head).sum(axis=0)
    if np.isin(np.concatenate([base, head]), (0.0, 1.0)).all():
        coins, test = _of_whole(each.astype(np.int64)), MCNEMAR if len(base) == 1 else SIGNS
    else:
        coins, test = _of_any(each / len(base)), DRAWN
    spread = (luck.ratio * float((each**2).sum())) ** 0.5
    if not spread:
        return 1.0, test
    return max(coins, float(special.stdtr(luck.freedom, -each.sum() / spread))), test


def _of_whole(each: np.ndarray) -> float:
    """That a sum with random signs is at least the one seen: twice the sum of the sizes with a plus, less all sizes."""
    sizes, counts = np.unique(np.abs(each[each != 0]), return_counts=True)
    share = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        own = np.zeros(size * count + 1)
        own[::size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        share = np.convolve(share, own)
    plus = int(each[each > 0].sum())
    return min(1.0, float(share[plus:].sum()))


def _of_any(each: np.ndarray) -> float:
    moving = each[each != 0]
    if not len(moving):
        return 1.0
    total = float(moving.sum())
    half = paired_permutation(each, resamples=RESAMPLES) / 2
    if total <= 0:
        return 1.0 - half
    if len(moving) <= FEW or half > SEEN / RESAMPLES:
        return half
    return exp(-(total**2) / (2 * float((moving**2).sum())))

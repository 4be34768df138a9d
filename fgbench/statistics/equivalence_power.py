"""Power of the test of equivalence, and the number of seeds that decides (`fgbench.statistics.equivalence`)."""

from dataclasses import replace

import numpy as np
from scipy import optimize, stats

from fgbench.statistics.equivalence import LEVEL, MIN_SEEDS, Spread

POWER = 0.8
"""Power at which a number of seeds counts as sufficient."""
MAX_SEEDS = 1000
"""Largest number of seeds that `seeds_to_decide` considers."""
GRID = 400
"""Number of quantiles of the chi-squared distribution over which the power is averaged."""


def power(spread: Spread, difference: float, margin: float, *, slack: float = 0.0) -> float:
    """Return the probability that `tost` decides at one look if `difference` and `spread.sd` are the true values.

    The printed number is given: it does not change with the seeds. If `difference` is inside the margin, the result is
    the probability of `inside`; otherwise the probability of `above` or `below`. Given the measured variance, the
    probability is that of a normal mean (Phillips, J. Pharmacokinet. Biopharm. 18:137-144, 1990). It is averaged over
    GRID quantiles of the chi-squared distribution of the measured variance; except for this grid, it is exact.
    `spread.repeated` is left out.

    Args:
        spread: uncertainty of the difference, with the true standard deviation between seeds.
        difference: true mean minus printed number.
        margin: margin of the test.
        slack: as in `tost`.

    Example:
        >>> round(power(Spread(sd=0.1, seeds=5), 0.0, 0.5), 2)
        0.5
    """
    true, distance = float(np.hypot(spread.sd / spread.seeds**0.5, spread.sampling)), abs(difference)
    if true == 0:
        return 1.0
    quantiles = (np.arange(GRID) + 0.5) / GRID
    freedom = max(1, spread.seeds - 1)
    # (GRID,) measured seed variances, and the half widths of the intervals that they give.
    measured = spread.sd**2 * spread.draws * stats.chi2.ppf(quantiles, freedom) / freedom
    half = np.sqrt(measured * stats.t.isf(LEVEL, freedom) ** 2 + (spread.sampling * stats.norm.isf(LEVEL)) ** 2)
    if distance >= margin:
        return float(stats.norm.cdf((distance - margin - slack - half) / true).mean())
    inner = margin - slack
    inside = [stats.norm.cdf((edge - difference) / true) for edge in (half - inner, inner - half)]
    return float(np.maximum(0.0, inside[1] - inside[0]).mean())


def seeds_to_decide(spread: Spread, difference: float, margin: float, *, slack: float = 0.0) -> int | None:
    """Return the smallest number of seeds with `power` >= POWER (Phillips 1990, as in `power`).

    Args:
        spread: uncertainty of the difference; its number of seeds is ignored.
        difference: true mean minus printed number.
        margin: margin of the test.
        slack: as in `tost`.

    Returns:
        The number of seeds, at least MIN_SEEDS; None if MAX_SEEDS are not sufficient.

    Example:
        >>> seeds_to_decide(Spread(sd=0.1, seeds=3), 0.0, 0.5)
        8
        >>> seeds_to_decide(Spread(sd=0.1, seeds=3), 0.4999, 0.5) is None
        True
    """

    def is_sufficient(seeds: int) -> bool:
        return power(replace(spread, seeds=seeds), difference, margin, slack=slack) >= POWER

    if not is_sufficient(MAX_SEEDS):
        return None
    if is_sufficient(MIN_SEEDS):
        return MIN_SEEDS
    # Double the upper limit until it is sufficient, then bisect.
    low, high = MIN_SEEDS, 2 * MIN_SEEDS
    while not is_sufficient(high):
        low, high = high, min(MAX_SEEDS, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_sufficient(middle) else (middle, high)
    return high


def spread_that_decides(
    difference: float, margin: float, seeds: int, target_runs: int = 1, *, slack: float = 0.0
) -> float:
    """Return the largest standard deviation between seeds with `power` >= POWER (Phillips 1990, as in `power`).

    Args:
        difference: true mean minus printed number.
        margin: margin of the test.
        seeds: number of seeds.
        target_runs: as in `Spread`.
        slack: as in `tost`.

    Example:
        >>> round(spread_that_decides(0.0, 0.5, seeds=5), 2)
        0.08
    """
    inside = abs(difference) < margin
    reach = margin - slack - abs(difference) if inside else abs(difference) - margin - slack
    if reach <= 0:
        return 0.0

    def excess_power(sd: float) -> float:
        return power(Spread(sd, seeds, target_runs), difference, margin, slack=slack) - POWER

    return float(optimize.brentq(excess_power, 1e-6 * reach, 100 * (reach + margin), xtol=1e-6 * reach))

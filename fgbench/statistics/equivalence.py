"""Test of equivalence: is a mean over seeds equal to a printed number within a margin, and how many seeds decide it?

Model: on test images T, the run with seed s measures theta + t_T + e_s. The sampling error t_T has the standard
deviation `sampling` and is the same for all seeds, because all seeds use the same images. The e_s are independent, with
the standard deviation `sd`. The mean of S seeds has the variance sampling^2 + sd^2 / S. More seeds reduce only the
second term.

A number printed for the same images has the same t_T, which cancels in the difference. A test of whether the number is
reproduced on these images therefore has `sampling` = 0. A test of whether it would be reproduced on other images has
the full `sampling`; with a small test set, no number of seeds may be sufficient.

A printed number that is the mean of R runs on random splits of its authors has the variance sd^2 / R of its own, which
more seeds do not reduce.
"""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
from scipy import optimize, stats

from fgbench.statistics.variance_components import Component, half_width, one_sided_p
from fgbench.util.errors import ArgumentError

ALPHA = 0.05
"""Level of every test behind a verdict."""
POWER = 0.8
"""Power at which a number of seeds counts as sufficient."""
MAX_SEEDS = 1000
"""Largest number of seeds that `seeds_to_decide` considers."""
GRID = 400
"""Number of quantiles of the chi-squared distribution over which the power is averaged."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Uncertainty of a mean over seeds, by source.

    Example:
        >>> round(Spread(sd=0.3, seeds=4, sampling=0.48).error, 3)
        0.503
    """

    sd: float
    """Standard deviation between seeds; 0 for a deterministic method."""
    seeds: int
    """Number of seeds."""
    target_runs: int = 0
    """Number of runs on random splits whose mean is the target; 0 if the target counts as exact."""
    sampling: float = 0.0
    """Standard error from the choice of test images, which all seeds share."""

    @classmethod
    def of(cls, values: list[float], *, step: float = 0.0, target_runs: int = 0) -> "Spread":
        """Return the spread of measured values.

        Args:
            values: at least two values, one a seed.
            step: the values are multiples of `step`. Equal values then do not prove that the variance is 0, so the
                variance is at least that of rounding, step^2 / 12 (Sheppard, Proc. London Math. Soc. 29:353-380, 1898).
            target_runs: as the field.

        Raises:
            ArgumentError: there are fewer than two values.

        Example:
            >>> Spread.of([83.0, 84.0, 85.0])
            Spread(sd=1.0, seeds=3, target_runs=0, sampling=0.0)
        """
        if len(values) < 2:
            raise ArgumentError(f"the spread between seeds needs at least two values, not {len(values)}")
        return cls(max(float(np.std(values, ddof=1)), step / 12**0.5), len(values), target_runs)

    @property
    def draws(self) -> float:
        """Factor of sd^2 in the variance of the difference: 1 / seeds + 1 / target_runs."""
        return 1 / self.seeds + (1 / self.target_runs if self.target_runs else 0.0)

    @property
    def components(self) -> list[Component]:
        """Variance components of the difference of mean and target: seeds, test images."""
        return [(self.sd**2 * self.draws, self.seeds - 1), (self.sampling**2, inf)]

    @property
    def error(self) -> float:
        """Standard error of the difference of mean and target."""
        return float(np.hypot(self.sd * self.draws**0.5, self.sampling))


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Result of two one-sided tests of a mean against `target` +- `margin`.

    Example:
        >>> result = Equivalence(p_low=0.001, p_high=0.01, low=83.8, high=84.3)
        >>> result.p, result.inside, result.above, result.below
        (0.01, True, False, False)
    """

    p_low: float
    """p-value against "the mean is below target - margin"."""
    p_high: float
    """p-value against "the mean is above target + margin"."""
    low: float
    """Lower end of the interval with confidence 1 - 2 ALPHA. The interval lies inside the margin if `inside`."""
    high: float
    """Upper end of the interval."""

    @property
    def p(self) -> float:
        """p-value against "the mean is outside the margin"."""
        return max(self.p_low, self.p_high)

    @property
    def inside(self) -> bool:
        """True if the mean is significantly inside the margin."""
        return self.p < ALPHA

    @property
    def above(self) -> bool:
        """True if the mean is significantly above the margin (one-sided test in the other direction)."""
        return 1 - self.p_high < ALPHA

    @property
    def below(self) -> bool:
        """True if the mean is significantly below the margin (one-sided test in the other direction)."""
        return 1 - self.p_low < ALPHA


def tost(mean: float, spread: Spread, target: float, margin: float) -> Equivalence:
    """Perform two one-sided t tests of equivalence (Schuirmann, J. Pharmacokinet. Biopharm. 15:657-680, 1987).

    With both seed variance and sampling error, the tests are those of `fgbench.statistics.variance_components`. With
    neither, the p-values are 0 or 1, and a mean on the edge of the margin is inside.

    Args:
        mean: mean over seeds.
        spread: uncertainty of the mean.
        target: printed number.
        margin: largest difference that counts as equivalent, in the unit of `mean`.

    Raises:
        ArgumentError: the margin is not positive, or `spread` has one seed and a variance between seeds.

    Example:
        >>> values = [84.1, 83.6, 84.5, 84.0]
        >>> result = tost(84.05, Spread.of(values), target=84.0, margin=0.5)
        >>> round(result.p, 3), result.inside
        (0.046, True)
    """
    if margin <= 0 or (spread.seeds < 2 and spread.sd):
        raise ArgumentError(
            f"an equivalence test needs at least two seeds and a positive margin, not {spread.seeds} and {margin}"
        )
    above_low, below_high = mean - (target - margin), (target + margin) - mean
    if spread.error == 0:
        return Equivalence(float(above_low < 0), float(below_high < 0), mean, mean)
    half = half_width(spread.components, ALPHA)
    p_low, p_high = (one_sided_p(distance, spread.components) for distance in (above_low, below_high))
    return Equivalence(p_low, p_high, mean - half, mean + half)


def power(spread: Spread, difference: float, margin: float) -> float:
    """Return the probability that `tost` decides if `difference` and `spread.sd` are the true values.

    If `difference` is inside the margin, it is the probability of `inside`; otherwise the probability of `above` or
    `below`. Given the measured variance, the probability is that of a normal mean (Phillips, J. Pharmacokinet.
    Biopharm. 18:137-144, 1990). It is averaged over GRID quantiles of the chi-squared distribution of the measured
    variance; except for this grid, it is exact.

    Args:
        spread: uncertainty of the mean, with the true standard deviation between seeds.
        difference: true mean minus target.
        margin: margin of the test.

    Example:
        >>> round(power(Spread(sd=0.3, seeds=5), 0.0, 0.5), 2)
        0.84
    """
    true, distance = spread.error, abs(difference)
    if true == 0:
        return 1.0
    quantiles = (np.arange(GRID) + 0.5) / GRID
    freedom = max(1, spread.seeds - 1)
    # (GRID,) measured seed variances, and the half widths of the intervals that they give.
    measured = spread.sd**2 * spread.draws * stats.chi2.ppf(quantiles, freedom) / freedom
    half = np.sqrt(measured * stats.t.isf(ALPHA, freedom) ** 2 + (spread.sampling * stats.norm.isf(ALPHA)) ** 2)
    if distance >= margin:
        return float(stats.norm.cdf((distance - margin - half) / true).mean())
    inside = [stats.norm.cdf((edge - difference) / true) for edge in (half - margin, margin - half)]
    return float(np.maximum(0.0, inside[1] - inside[0]).mean())


def seeds_to_decide(spread: Spread, difference: float, margin: float) -> int | None:
    """Return the smallest number of seeds with `power` >= POWER (Phillips 1990, as in `power`).

    Args:
        spread: uncertainty of the mean; its number of seeds is ignored.
        difference: true mean minus target.
        margin: margin of the test.

    Returns:
        The number of seeds, at least 2; None if MAX_SEEDS are not sufficient.

    Example:
        >>> seeds_to_decide(Spread(sd=0.3, seeds=3), 0.0, 0.5)
        5
        >>> seeds_to_decide(Spread(sd=0.3, seeds=3), 0.4999, 0.5) is None
        True
    """

    def is_sufficient(seeds: int) -> bool:
        return power(replace(spread, seeds=seeds), difference, margin) >= POWER

    if not is_sufficient(MAX_SEEDS):
        return None
    # Double the upper limit until it is sufficient, then bisect.
    low, high = 1, 2
    while not is_sufficient(high):
        low, high = high, min(MAX_SEEDS, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_sufficient(middle) else (middle, high)
    return high


def spread_that_decides(difference: float, margin: float, seeds: int, target_runs: int = 0) -> float:
    """Return the largest standard deviation between seeds with `power` >= POWER (Phillips 1990, as in `power`).

    Args:
        difference: true mean minus target.
        margin: margin of the test.
        seeds: number of seeds.
        target_runs: as in `Spread`.

    Example:
        >>> round(spread_that_decides(0.0, 0.5, seeds=5), 2)
        0.31
    """
    reach = abs(abs(difference) - margin)
    if reach == 0:
        return 0.0

    def excess_power(sd: float) -> float:
        return power(Spread(sd, seeds, target_runs), difference, margin) - POWER

    return float(optimize.brentq(excess_power, 1e-6 * reach, 100 * (reach + margin), xtol=1e-6 * reach))

"""Is a mean over seeds the printed number, within a margin? And how many seeds would tell?

The model. On test images T, the run of seed s measures theta + t_T + e_s. The sampling error t_T has the standard
deviation `sampling` and is the same for every seed, since all see the same images; the e_s are independent, with the
standard deviation `sd`. The mean of S seeds then has the variance sampling^2 + sd^2 / S: seeds shrink the second part
alone. The two parts are never added without being asked to:

A number printed for the very same images has the same t_T, which cancels in the difference. So whether the printed
number is reproduced is decided with `sampling` = 0, by the seeds. Whether it would be on other images of the kind is
another question, answered with `sampling` in full; there a small test set can make every number of seeds too few.

A number that is the mean of R runs on divisions of the data which its authors drew for themselves is itself off by
sd^2 / R, which no seed of ours shrinks either.
"""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
from scipy import optimize, stats

from fgbench.statistics.variance_components import Part, half_width, one_sided
from fgbench.util.errors import FgbenchError

ALPHA = 0.05
"""Level of every test behind a verdict."""
POWER = 0.8
"""Chance of deciding that a number of seeds must give to be called enough."""
MOST = 1000
"""Seeds beyond which nobody goes."""
GRID = 400
"""Quantiles of the chi-square distribution that power is averaged over."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a mean over seeds may be off by, in parts."""

    sd: float
    """Standard deviation from seed to seed; 0 where no random number enters."""
    seeds: int
    target_runs: int = 0
    """Runs that the target is itself the mean of, where they were on divisions of their own; 0 to take it as it is."""
    sampling: float = 0.0
    """Standard error of the test set, which all seeds share."""

    @classmethod
    def of(cls, values: list[float], *, step: float = 0.0, target_runs: int = 0) -> "Spread":
        """The spread of measured values, one a seed.

        Args:
            values: two at least.
            step: the values are multiples of it. Equal values then do not mean that there is no spread, so the
                variance is not taken below that of rounding, step^2 / 12 (Sheppard, Proc. London Math. Soc. 29:353-380,
                1898).
            target_runs: as the field.

        Raises:
            FgbenchError: fewer than two values.
        """
        if len(values) < 2:
            raise FgbenchError(f"a spread over seeds needs two of them, here is {len(values)}")
        return cls(max(float(np.std(values, ddof=1)), step / 12**0.5), len(values), target_runs)

    @property
    def draws(self) -> float:
        """What the variance of a seed is multiplied by."""
        return 1 / self.seeds + (1 / self.target_runs if self.target_runs else 0.0)

    @property
    def parts(self) -> list[Part]:
        """The variance of the mean's difference from the target: of the seeds, and of the test set."""
        return [(self.sd**2 * self.draws, self.seeds - 1), (self.sampling**2, inf)]

    @property
    def error(self) -> float:
        """Standard error of the mean's difference from the target."""
        return float(np.hypot(self.sd * self.draws**0.5, self.sampling))


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Outcome of two one-sided tests of a mean against `target` +- `margin`."""

    p_low: float
    """p-value against "the mean is below target - margin"."""
    p_high: float
    """p-value against "the mean is above target + margin"."""
    low: float
    """Lower end of the interval of confidence 1 - 2 ALPHA, which lies inside the margin when `inside`."""
    high: float
    """Upper end of that interval."""

    @property
    def p(self) -> float:
        """p-value against "the mean is outside the margin"."""
        return max(self.p_low, self.p_high)

    @property
    def inside(self) -> bool:
        """The mean is shown to be inside the margin."""
        return self.p < ALPHA

    @property
    def above(self) -> bool:
        """The mean is shown to be above the margin: a one-sided test the other way round."""
        return 1 - self.p_high < ALPHA

    @property
    def below(self) -> bool:
        """The mean is shown to be below the margin."""
        return 1 - self.p_low < ALPHA


def tost(mean: float, spread: Spread, target: float, margin: float) -> Equivalence:
    """Two one-sided t tests of equivalence (Schuirmann, J. Pharmacokinet. Biopharm. 15:657-680, 1987).

    With sampling error beside the spread over seeds they are of a variance of two parts (`statistics.parts`). With
    neither they answer 0 or 1 by where the mean lies, edges inside.

    Raises:
        FgbenchError: a margin that is not positive, or one seed of several that would differ.
    """
    if margin <= 0 or (spread.seeds < 2 and spread.sd):
        raise FgbenchError(f"an equivalence test needs two seeds and a positive margin, not {spread.seeds}, {margin}")
    above, below = mean - (target - margin), (target + margin) - mean
    if spread.error == 0:
        return Equivalence(float(above < 0), float(below < 0), mean, mean)
    half = half_width(spread.parts, ALPHA)
    p_low, p_high = (one_sided(reach, spread.parts) for reach in (above, below))
    return Equivalence(p_low, p_high, mean - half, mean + half)


def power(spread: Spread, difference: float, margin: float) -> float:
    """Chance that the tests decide, when the mean really is `difference` off the target and `spread.sd` is true.

    Inside the margin it is the chance of `inside`, beyond it that of `above` or `below` (which are alike). The chance
    is exact but for the grid: given the measured spread, whose distribution is a chi-square, it is one of a normal
    mean (Phillips, J. Pharmacokinet. Biopharm. 18:137-144, 1990).
    """
    true, distance = spread.error, abs(difference)
    if true == 0:
        return 1.0
    quantiles = (np.arange(GRID) + 0.5) / GRID
    freedom = max(1, spread.seeds - 1)
    measured = spread.sd**2 * spread.draws * stats.chi2.ppf(quantiles, freedom) / freedom
    half = np.sqrt(measured * stats.t.isf(ALPHA, freedom) ** 2 + (spread.sampling * stats.norm.isf(ALPHA)) ** 2)
    if distance >= margin:
        return float(stats.norm.cdf((distance - margin - half) / true).mean())
    inside = [stats.norm.cdf((edge - difference) / true) for edge in (half - margin, margin - half)]
    return float(np.maximum(0.0, inside[1] - inside[0]).mean())


def seeds_to_decide(spread: Spread, difference: float, margin: float) -> int | None:
    """The fewest seeds that decide with a chance of POWER, the difference and the spread being as they are.

    Returns:
        None where not even MOST do.
    """

    def enough(seeds: int) -> bool:
        return power(replace(spread, seeds=seeds), difference, margin) >= POWER

    if not enough(MOST):
        return None
    low, high = 1, 2
    while not enough(high):
        low, high = high, min(MOST, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def spread_that_decides(difference: float, margin: float, seeds: int, target_runs: int = 0) -> float:
    """The widest spread from seed to seed with which so many seeds decide with a chance of POWER."""
    reach = abs(abs(difference) - margin)
    if reach == 0:
        return 0.0

    def lacking(sd: float) -> float:
        return power(Spread(sd, seeds, target_runs), difference, margin) - POWER

    return float(optimize.brentq(lacking, 1e-6 * reach, 100 * (reach + margin), xtol=1e-6 * reach))

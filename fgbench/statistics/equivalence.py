"""Test of equivalence: do the mean over seeds and a printed number have the same true value within a margin?

Model: on test images T, a run with seed s measures theta + t_T + e_s. The sampling error t_T has the standard deviation
`sampling` and is the same for all seeds, because all seeds use the same images. The e_s are independent, with the
standard deviation `sd`. The mean of S seeds has the variance sampling^2 + sd^2 / S. More seeds reduce only the second
term.

The printed number is the mean of R runs of its authors, usually of one. It is assumed to have the same spread, so its
variance is sd^2 / R, which more seeds do not reduce. It was measured on the same images: the same t_T is in both
numbers and cancels in the difference. A test of whether the number is reproduced on these images therefore has
`sampling` = 0. A test of whether it would be reproduced on other images has the full `sampling`.

Seeds may be added after a look at the result. A test at 5 % after each of several looks errs in more than 5 % of cases
(Armitage, McPherson and Rowe, J. R. Stat. Soc. A 132:235-244, 1969). Every test therefore has the same lower level at
each look (Pocock, Biometrika 64:191-199, 1977), here `LEVEL`, so that the error over all looks stays below `ALPHA`.
`python -m tests.simulate verdicts` measures it for a look after every seed from the third on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from fgbench.statistics.variance_components import Component, half_width, one_sided_p
from fgbench.util.errors import ArgumentError

ALPHA = 0.05
"""Error rate of a verdict over all looks, and level of the tests that are made once."""
LEVEL = 0.005
"""Level of each one-sided test of a mean over seeds at each look."""
MIN_SEEDS = 3
"""Least number of seeds of a verdict on a run that uses random numbers."""
ROUNDING = 1e-9
"""Rounding error of differences of values without variance."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Uncertainty of the difference between a mean over seeds and a printed number, by source.

    Example:
        >>> round(Spread(sd=0.3, seeds=4, target_runs=0, sampling=0.48).error, 3)
        0.503
        >>> round(Spread(sd=0.3, seeds=4).error, 3)
        0.335
    """

    sd: float
    """Standard deviation between seeds; 0 for a deterministic method."""
    seeds: int
    """Number of seeds."""
    target_runs: int = 1
    """Number of runs whose mean is the printed number; 0 if the number counts as exact."""
    sampling: float = 0.0
    """Standard error from the choice of test images, which all seeds share."""
    repeated: Component = (0.0, inf)
    """Further variance of the printed number, with its degrees of freedom: see `spread_of_splits`."""

    @classmethod
    def of(cls, values: list[float], *, step: float = 0.0, target_runs: int = 1) -> "Spread":
        """Return the spread of measured values.

        Args:
            values: at least two values, one a seed.
            step: the values are multiples of `step`. Equal values then do not prove that the variance is 0, so the
                variance is at least that of rounding, step^2 / 12 (Sheppard, Proc. London Math. Soc. 29:353-380, 1898).
            target_runs: as the field.

        Raises:
            ArgumentError: there are fewer than two values.

        Example:
            >>> Spread.of([83.0, 84.0, 85.0]).sd
            1.0
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
        """Variance components of the difference of mean and target: seeds, test images, repeated seeds."""
        return [(self.sd**2 * self.draws, self.seeds - 1), (self.sampling**2, inf), self.repeated]

    @property
    def error(self) -> float:
        """Standard error of the difference of mean and target."""
        return float(sum(variance for variance, _ in self.components) ** 0.5)


def spread_of_splits(
    values: Sequence[Sequence[float]], *, step: float = 0.0, target_runs: int = 1
) -> tuple[float, Spread]:
    """Return the mean and the spread of values that were measured on several splits, with some seeds on each split.

    Seeds on one split share its images, so that only splits are independent: the values are averaged within each split
    first, and the split counts as one value. Each run of the authors has its own split and its own seed. Its variance
    is that between the means of the splits, plus the part of the variance between the seeds of a split that averaging
    removed.

    Args:
        values: for each split, one value a seed.
        step: as in `Spread.of`.
        target_runs: number of splits of the authors.

    Raises:
        ArgumentError: there are fewer than two splits.

    Example:
        >>> mean, spread = spread_of_splits([[30.0, 32.0], [35.0, 33.0], [28.0, 28.0]], target_runs=10)
        >>> mean, spread.seeds, round(spread.sd, 3), round(spread.repeated[0], 3)
        (31.0, 3, 3.0, 0.067)
    """
    means = [sum(seeds) / len(seeds) for seeds in values]
    spread = Spread.of(means, step=step, target_runs=target_runs)
    freedom = sum(len(seeds) - 1 for seeds in values)
    if freedom and target_runs:
        within = sum(float(np.var(seeds)) * len(seeds) for seeds in values) / freedom
        removed = 1 - float(np.mean([1 / len(seeds) for seeds in values]))
        spread = replace(spread, repeated=(within * removed / target_runs, freedom))
    return float(np.mean(means)), spread


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Result of the one-sided tests of a mean against `target` +- `margin`.

    Example:
        >>> result = Equivalence(p_inside=0.001, p_above=1.0, p_below=0.9999, low=-0.2, high=0.3)
        >>> result.inside, result.above, result.below
        (True, False, False)
    """

    p_inside: float
    """p-value against "the difference of the true values is larger than the margin": the larger one of both sides."""
    p_above: float
    """p-value against "the true mean is not above target + margin"."""
    p_below: float
    """p-value against "the true mean is not below target - margin"."""
    low: float
    """Lower end of the interval of the difference with confidence 1 - 2 LEVEL."""
    high: float
    """Upper end of the interval."""

    @property
    def inside(self) -> bool:
        """True if the difference is significantly inside the margin."""
        return self.p_inside < LEVEL

    @property
    def above(self) -> bool:
        """True if the mean is significantly above the margin."""
        return self.p_above < LEVEL

    @property
    def below(self) -> bool:
        """True if the mean is significantly below the margin."""
        return self.p_below < LEVEL


def tost(mean: float, spread: Spread, target: float, margin: float, *, slack: float = 0.0) -> Equivalence:
    """Perform one-sided t tests of equivalence (Schuirmann, J. Pharmacokinet. Biopharm. 15:657-680, 1987).

    With several variance components, the tests are those of `fgbench.statistics.variance_components`. Without variance,
    the p-values are 0 or 1, and a mean on the edge of the margin is inside.

    Args:
        mean: mean over seeds.
        spread: uncertainty of the difference.
        target: printed number.
        margin: largest difference that counts as equivalent, in the unit of `mean`.
        slack: largest error of the difference that is no random error, such as rounding of the printed number. Each
            test holds for every error up to `slack`.

    Raises:
        ArgumentError: the margin is not positive, the slack is negative, or `spread` has one seed and a variance
            between seeds.

    Example:
        >>> values = [84.1, 83.9, 84.05, 84.0, 83.95]
        >>> result = tost(84.0, Spread.of(values), target=84.0, margin=0.5)
        >>> round(result.p_inside, 4), result.inside
        (0.0022, True)
        >>> tost(84.0, Spread.of(values), target=84.0, margin=0.5, slack=0.2).inside
        False
    """
    if margin <= 0 or slack < 0 or (spread.seeds < 2 and spread.sd):
        raise ArgumentError(
            "an equivalence test needs at least two seeds, a positive margin and a slack that is not negative, "
            f"not {spread.seeds}, {margin} and {slack}"
        )
    difference = mean - target
    inner, outer = margin - slack, margin + slack
    # Distances beyond the bound of each test.
    distances = (inner - abs(difference), difference - outer, -difference - outer)
    if spread.error == 0:
        inside, above, below = distances[0] >= -ROUNDING, distances[1] > ROUNDING, distances[2] > ROUNDING
        return Equivalence(float(not inside), float(not above), float(not below), difference, difference)
    half = half_width(spread.components, LEVEL)
    p_inside, p_above, p_below = (one_sided_p(distance, spread.components) for distance in distances)
    return Equivalence(p_inside, p_above, p_below, difference - half, difference + half)

"""Test whether the seeds of a run differ more than expected."""

import numpy as np
from scipy import stats

from fgbench.statistics.overdispersion import Dispersion, variance_ratio

SPREAD_TEST = "F test of the variance between seeds"


def spread_test(base: np.ndarray, head: np.ndarray, expected: Dispersion) -> float:
    """Return the p-value against "the seeds of the second night differ no more than expected".

    The variance between seeds relative to independent images (`variance_ratio`) is compared with the expected one, or
    with that of the first night if it is larger, by an F test (Snedecor, Calculation and Interpretation of Analysis of
    Variance and Covariance, 1934). The F test holds for normal effects of a training. With heavy tails, one odd
    training is enough for a small p-value; see `fgbench.judge.nightly.quality` for the second look.

    Args:
        base: (S, N) contribution of each image in the first night, one row a seed.
        head: (S, N) the same for the second night.
        expected: dispersion between the trainings of other runs.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> base = rng.random((3, 500)) < 0.5
        >>> wide = rng.random((3, 500)) < np.array([[0.3], [0.5], [0.7]])
        >>> expected = Dispersion(ratio=2.5, freedom=20)
        >>> spread_test(base, base, expected) > 0.1, spread_test(base, wide, expected) < 1e-4
        (True, True)
    """
    ratio = variance_ratio(head)
    if ratio is None:
        return 1.0
    reference = max(expected.ratio, variance_ratio(base) or 0.0)
    return float(stats.f.sf(ratio / reference, len(head) - 1, expected.freedom))


def detectable_spread(seeds: int, expected: Dispersion, level: float, power: float) -> float:
    """Return the factor on the standard deviation between seeds that the test finds with a given power.

    Args:
        seeds: number of seeds of the run.
        expected: dispersion between trainings.
        level: level of the test.
        power: probability to find it.

    Example:
        >>> [round(detectable_spread(seeds, Dispersion(2.5, 30), 0.00025, 0.9), 1) for seeds in (2, 3, 10)]
        [32.8, 10.2, 3.4]
    """
    f = stats.f(seeds - 1, expected.freedom)
    return float(np.sqrt(f.isf(level) / f.isf(power)))

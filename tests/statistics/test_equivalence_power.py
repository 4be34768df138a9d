import numpy as np
import pytest
from scipy import stats

from fgbench.statistics import LEVEL, Spread, power, seeds_to_decide, spread_that_decides, tost


def frequency(place, difference, spread, margin=0.5, slack=0.0, times=2000, seed=0):
    """Return how often the test gives a result against a printed number that stays the same."""
    rng, count = np.random.default_rng(seed), 0
    for _ in range(times):
        values = rng.normal(difference, spread.sd, spread.seeds) + rng.normal(0, spread.sampling)
        measured = Spread(float(np.std(values, ddof=1)), spread.seeds, spread.target_runs, spread.sampling)
        count += getattr(tost(float(values.mean()), measured, 0.0, margin, slack=slack), place)
    return count / times


@pytest.mark.parametrize(
    ("difference", "spread", "slack"),
    [
        (0.0, Spread(0.1, 5), 0.0),
        (0.1, Spread(0.1, 8), 0.05),
        (-0.2, Spread(0.05, 4, 0, 0.05), 0.0),
        (0.1, Spread(0.1, 5, 10), 0.0),
    ],
)
def test_power_inside_the_margin_equals_simulation(difference, spread, slack):
    value = power(spread, difference, 0.5, slack=slack)
    assert 0.05 < value < 0.995
    assert value == pytest.approx(frequency("inside", difference, spread, slack=slack), abs=0.035)


@pytest.mark.parametrize(("difference", "place"), [(1.2, "above"), (-1.2, "below")])
def test_power_outside_the_margin_equals_simulation(difference, place):
    spread = Spread(0.2, 6, 0)
    value = power(spread, difference, 0.5)
    assert value == pytest.approx(frequency(place, difference, spread, seed=3), abs=0.035)
    # The exact power of a one-sided t test follows from the noncentral t distribution.
    assert value == pytest.approx(stats.nct.sf(stats.t.isf(LEVEL, 5), 5, 0.7 / (0.2 / np.sqrt(6))), abs=4e-3)


def test_seeds_to_decide_is_the_smallest_sufficient_number():
    for difference in (0.0, 0.1, -0.15, 0.9, -1.5):
        needed = seeds_to_decide(Spread(0.1, 3), difference, 0.5, slack=0.05)
        assert power(Spread(0.1, needed), difference, 0.5, slack=0.05) >= 0.8
        assert needed == 3 or power(Spread(0.1, needed - 1), difference, 0.5, slack=0.05) < 0.8
    needed = seeds_to_decide(Spread(0.1, 3), 0.1, 0.5)
    assert 0.78 < frequency("inside", 0.1, Spread(0.1, needed), seed=4) < 0.9


def test_seeds_to_decide_is_none_if_no_number_is_sufficient():
    assert seeds_to_decide(Spread(0.1, 3), 0.4999, 0.5) is None
    assert seeds_to_decide(Spread(0.1, 3), 0.46, 0.5, slack=0.05) is None
    assert seeds_to_decide(Spread(0.1, 3, sampling=0.48), 0.0, 0.5) is None
    assert seeds_to_decide(Spread(0.3, 3), 0.0, 0.5) is None  # one training of the authors
    assert seeds_to_decide(Spread(0.3, 3, target_runs=10), 0.0, 0.5) > 10
    assert seeds_to_decide(Spread(0.01, 3), 0.0, 0.5) == 3


def test_spread_that_decides_has_the_required_power():
    for difference, seeds, target_runs, slack in ((0.1, 5, 1, 0.05), (1.1, 3, 1, 0.0), (0.0, 5, 10, 0.0)):
        widest = spread_that_decides(difference, 0.5, seeds, target_runs, slack=slack)
        assert power(Spread(0.99 * widest, seeds, target_runs), difference, 0.5, slack=slack) > 0.8
        assert power(Spread(1.01 * widest, seeds, target_runs), difference, 0.5, slack=slack) < 0.8
    assert spread_that_decides(0.5, 0.5, 3) == 0
    assert spread_that_decides(0.47, 0.5, 3, slack=0.05) == 0
    assert spread_that_decides(0.1, 0.5, 3) < spread_that_decides(0.1, 0.5, 5) < spread_that_decides(0.0, 0.5, 5)

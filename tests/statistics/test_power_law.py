import numpy as np
import pytest
from scipy import stats

from fgbench.statistics import power_law
from fgbench.util.errors import FgbenchError


@pytest.mark.parametrize("seed", range(3))
def test_exponent_and_interval_equal_scipy_on_logarithms(seed):
    rng = np.random.default_rng(seed)
    sizes = [50, 100, 220, 400, 1000, 1500]
    costs = [0.003 * size**1.7 * np.exp(0.1 * rng.standard_normal()) for size in sizes]
    found = power_law(sizes, costs, confidence=0.9)
    theirs = stats.linregress(np.log(sizes), np.log(costs))
    half = stats.t.ppf(0.95, len(sizes) - 2) * theirs.stderr
    assert found.exponent == pytest.approx(theirs.slope)
    assert found.interval == pytest.approx((theirs.slope - half, theirs.slope + half))
    assert np.log(found.factor) == pytest.approx(theirs.intercept)
    assert found.exponent == pytest.approx(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def test_an_exact_power_has_no_interval_to_speak_of():
    found = power_law([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0])
    assert found.exponent == pytest.approx(2.0)
    assert found.factor == pytest.approx(3.0)
    assert found.interval == pytest.approx((2.0, 2.0))


def test_the_interval_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    sizes = np.array([1.0, 2, 4, 8, 16])
    intervals = [power_law(sizes, sizes * np.exp(0.2 * rng.standard_normal(5))).interval for _ in range(2000)]
    assert 0.93 < np.mean([low <= 1.0 <= high for low, high in intervals]) < 0.97


@pytest.mark.parametrize(
    ("sizes", "costs"),
    [([1, 2], [1.0, 2.0]), ([2, 2, 2], [1.0, 1.0, 1.0]), ([1, 2, 0], [1.0, 2.0, 3.0]), ([1, 2, 3], [1.0, 2.0, 0.0]),
     ([1, 2, 3], [1.0, 2.0]), ([1, 2, 3], [1.0, float("nan"), 2.0])],
)  # fmt: skip
def test_no_exponent_is_fitted_to_what_has_none(sizes, costs):
    with pytest.raises(FgbenchError, match="three points of two sizes"):
        power_law(sizes, costs)

import numpy as np
import pytest
from scipy import stats

from fgbench.statistics import power_law


@pytest.mark.parametrize("seed", range(3))
def test_exponent_and_interval_equal_scipy_on_logarithms(seed):
    rng = np.random.default_rng(seed)
    sizes = [50, 100, 220, 400, 1000, 1500]
    costs = [0.003 * size**1.7 * np.exp(0.1 * rng.standard_normal()) for size in sizes]
    law = power_law(sizes, costs, confidence=0.9)
    reference = stats.linregress(np.log(sizes), np.log(costs))
    half = stats.t.ppf(0.95, len(sizes) - 2) * reference.stderr
    assert law.exponent == pytest.approx(reference.slope)
    assert law.interval == pytest.approx((reference.slope - half, reference.slope + half))
    assert np.log(law.factor) == pytest.approx(reference.intercept)
    assert law.exponent == pytest.approx(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def test_exact_power_law_has_an_interval_of_width_0():
    law = power_law([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0])
    assert law.exponent == pytest.approx(2.0)
    assert law.factor == pytest.approx(3.0)
    assert law.interval == pytest.approx((2.0, 2.0))


def test_interval_coverage():
    rng = np.random.default_rng(0)
    sizes = np.array([1.0, 2, 4, 8, 16])
    intervals = [power_law(sizes, sizes * np.exp(0.2 * rng.standard_normal(5))).interval for _ in range(2000)]
    assert 0.93 < np.mean([low <= 1.0 <= high for low, high in intervals]) < 0.97


@pytest.mark.parametrize(
    ("sizes", "costs"),
    [([1, 2], [1.0, 2.0]), ([2, 2, 2], [1.0, 1.0, 1.0]), ([1, 2, 0], [1.0, 2.0, 3.0]), ([1, 2, 3], [1.0, 2.0, 0.0]),
     ([1, 2, 3], [1.0, 2.0]), ([1, 2, 3], [1.0, float("nan"), 2.0])],
)  # fmt: skip
def test_too_few_or_impossible_points_raise(sizes, costs):
    with pytest.raises(ValueError, match="at least three points with two different sizes"):
        power_law(sizes, costs)

import numpy as np
import pytest
from scipy import stats

from fgbench.errors import FgbenchError
from fgbench.statistics import mean_interval, power_law, tost, wilson_interval


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 17), (4872, 5794)])
def test_wilson_equals_scipy(hits, n):
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [wilson_interval(int(hits), 400) for hits in rng.binomial(400, 0.84, 2000)]
    assert 0.93 < np.mean([low <= 0.84 <= high for low, high in intervals]) < 0.97


def test_mean_interval_equals_scipy():
    values = [84.1, 83.6, 84.5, 84.0]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((theirs.low, theirs.high))
    with pytest.raises(FgbenchError, match="two of them"):
        mean_interval([1.0])


def test_tost_equals_two_one_sided_t_tests():
    values = [84.1, 83.6, 84.5, 84.0]
    found = tost(values, 84.0, 0.5)
    assert found.p_low == pytest.approx(stats.ttest_1samp(values, 83.5, alternative="greater").pvalue)
    assert found.p_high == pytest.approx(stats.ttest_1samp(values, 84.5, alternative="less").pvalue)
    assert found.p == max(found.p_low, found.p_high)


def test_tost_rarely_calls_the_edge_of_the_margin_equivalent():
    rng = np.random.default_rng(0)
    wrong = [tost(list(rng.normal(84.5, 0.3, 5)), 84.0, 0.5).p < 0.05 for _ in range(2000)]
    assert np.mean(wrong) < 0.065


def test_tost_without_spread():
    assert tost([84.2, 84.2], 84.0, 0.5).p == 0
    assert tost([84.6, 84.6], 84.0, 0.5).p == 1
    with pytest.raises(FgbenchError, match="two values"):
        tost([84.0], 84.0, 0.5)


def test_impossible_proportion_is_refused():
    with pytest.raises(FgbenchError):
        wilson_interval(3, 2)


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

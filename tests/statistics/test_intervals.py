import numpy as np
import pytest
from scipy import stats

from fgbench.statistics import Interval, bootstrap_interval, mean_interval, standard_error, wilson_interval
from fgbench.util.errors import ArgumentError


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 17), (4872, 5794)])
def test_wilson_equals_scipy(hits, n):
    reference = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_wilson_coverage():
    rng = np.random.default_rng(0)
    intervals = [wilson_interval(int(hits), 400) for hits in rng.binomial(400, 0.84, 2000)]
    assert 0.93 < np.mean([low <= 0.84 <= high for low, high in intervals]) < 0.97


@pytest.mark.parametrize(("hits", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_impossible_proportion_raises(hits, n):
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(hits, n)


def test_standard_error_of_a_wilson_interval_is_binomial():
    assert standard_error(wilson_interval(4873, 5794)) == pytest.approx(np.sqrt(0.841 * 0.159 / 5794), rel=2e-3)
    assert standard_error(Interval(1.0, 2.0), 0.9) == pytest.approx(1 / (2 * 1.6448536))


def test_mean_interval_equals_scipy():
    values = [84.1, 83.6, 84.5, 84.0]
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((reference.low, reference.high))
    with pytest.raises(ValueError, match="at least two values, not 1"):
        mean_interval([1.0])


@pytest.mark.parametrize("few", [True, False], ids=["right and wrong", "shares"])
def test_bootstrap_equals_bca_of_scipy(few):
    rng = np.random.default_rng(1)
    values = rng.choice([-1.0, 0.0, 1.0], 300, p=[0.05, 0.8, 0.15]) if few else rng.beta(0.4, 2, 300)
    reference = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=2).confidence_interval
    interval = bootstrap_interval(values)
    assert interval == pytest.approx((reference.low, reference.high), abs=0.03 * values.std())
    assert interval == bootstrap_interval(values)
    assert interval != bootstrap_interval(values, seed=1)
    narrow = bootstrap_interval(values, 0.5)
    assert interval.low < narrow.low < values.mean() < narrow.high < interval.high


def test_bootstrap_interval_of_skewed_values_is_asymmetric():
    """Values with a long upper tail give an interval that extends further above the mean than below it."""
    values = np.random.default_rng(3).exponential(size=60) ** 2
    low, high = bootstrap_interval(values)
    assert high - values.mean() > 1.4 * (values.mean() - low)


def test_bootstrap_coverage():
    rng = np.random.default_rng(4)
    shares = [0.06, 0.84, 0.1]
    covered = [
        low <= 0.04 <= high
        for low, high in (
            bootstrap_interval(rng.choice([-1.0, 0.0, 1.0], 300, p=shares), seed=i, resamples=999) for i in range(1200)
        )
    ]
    assert 0.93 < np.mean(covered) < 0.965


def test_bootstrap_of_equal_values_and_of_wrong_shapes():
    assert bootstrap_interval(np.full(5, 0.25)) == (0.25, 0.25)
    with pytest.raises(ArgumentError, match="one value an image"):
        bootstrap_interval(np.array([]))
    with pytest.raises(ArgumentError, match="one value an image"):
        bootstrap_interval(np.zeros((2, 3)))

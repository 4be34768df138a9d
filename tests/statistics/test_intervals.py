import numpy as np
import pytest
from scipy import stats

from fgbench.statistics import Interval, bootstrap_interval, mean_interval, standard_error, wilson_interval
from fgbench.util.errors import FgbenchError


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 17), (4872, 5794)])
def test_wilson_equals_scipy(hits, n):
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [wilson_interval(int(hits), 400) for hits in rng.binomial(400, 0.84, 2000)]
    assert 0.93 < np.mean([low <= 0.84 <= high for low, high in intervals]) < 0.97


def test_impossible_proportion_is_refused():
    with pytest.raises(FgbenchError):
        wilson_interval(3, 2)


def test_standard_error_of_wilsons_interval_is_the_binomials():
    assert standard_error(wilson_interval(4873, 5794)) == pytest.approx(np.sqrt(0.841 * 0.159 / 5794), rel=2e-3)
    assert standard_error(Interval(1.0, 2.0), 0.9) == pytest.approx(1 / (2 * 1.6448536))


def test_mean_interval_equals_scipy():
    values = [84.1, 83.6, 84.5, 84.0]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((theirs.low, theirs.high))
    with pytest.raises(FgbenchError, match="two of them"):
        mean_interval([1.0])


@pytest.mark.parametrize("few", [True, False], ids=["right and wrong", "shares"])
def test_bootstrap_equals_scipys_bca(few):
    rng = np.random.default_rng(1)
    values = rng.choice([-1.0, 0.0, 1.0], 300, p=[0.05, 0.8, 0.15]) if few else rng.beta(0.4, 2, 300)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=2).confidence_interval
    ours = bootstrap_interval(values)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03 * values.std())
    assert ours == bootstrap_interval(values)
    assert ours != bootstrap_interval(values, seed=1)
    narrow = bootstrap_interval(values, 0.5)
    assert ours.low < narrow.low < values.mean() < narrow.high < ours.high


def test_bootstrap_leans_the_way_the_values_do():
    """A symmetric interval would not reach as far up as down for values with a long tail upwards."""
    values = np.random.default_rng(3).exponential(size=60) ** 2
    low, high = bootstrap_interval(values)
    assert high - values.mean() > 1.4 * (values.mean() - low)


def test_bootstrap_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    shares = [0.06, 0.84, 0.1]
    covered = [
        low <= 0.04 <= high
        for low, high in (
            bootstrap_interval(rng.choice([-1.0, 0.0, 1.0], 300, p=shares), seed=i, resamples=999) for i in range(1200)
        )
    ]
    assert 0.93 < np.mean(covered) < 0.965


def test_bootstrap_of_equal_values_and_of_none():
    assert bootstrap_interval(np.full(5, 0.25)) == (0.25, 0.25)
    with pytest.raises(FgbenchError, match="one value an image"):
        bootstrap_interval(np.array([]))
    with pytest.raises(FgbenchError, match="one value an image"):
        bootstrap_interval(np.zeros((2, 3)))

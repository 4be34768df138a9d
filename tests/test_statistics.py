import numpy as np
import pytest
from scipy import stats

from fgbench.errors import FgbenchError
from fgbench.statistics import mean_interval, tost, wilson_interval


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

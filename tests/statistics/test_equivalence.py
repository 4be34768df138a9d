import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from fgbench.statistics import LEVEL, Spread, spread_of_splits, tost
from fgbench.util.errors import ArgumentError

VALUES = [84.1, 83.9, 84.3, 84.0, 84.1]


def exact(values=VALUES):
    """Return the spread against a target that counts as exact."""
    return Spread.of(values, target_runs=0)


def frequencies(mean, sd, seeds, target_runs=0, sampling=0.0, margin=0.5, slack=0.0, times=2000, seed=0):
    """Return the frequency of each result. The target is 0, or the mean of `target_runs` simulated runs."""
    rng = np.random.default_rng(seed)
    counts = {"inside": 0, "above": 0, "below": 0}
    for _ in range(times):
        values = rng.normal(mean, sd, seeds) + rng.normal(0, sampling)
        target = rng.normal(0, sd / target_runs**0.5) if target_runs else 0.0
        spread = Spread(float(np.std(values, ddof=1)), seeds, target_runs, sampling)
        test = tost(float(values.mean()), spread, target, margin, slack=slack)
        for place in counts:
            counts[place] += getattr(test, place)
    return {place: count / times for place, count in counts.items()}


def test_tost_equals_scipy_and_statsmodels():
    mean = float(np.mean(VALUES))
    result = tost(mean, exact(), 84.0, 0.5)
    reference = DescrStatsW(VALUES).ttost_mean(83.5, 84.5)
    assert result.p_inside == pytest.approx(reference[0])
    assert result.p_above == pytest.approx(stats.ttest_1samp(VALUES, 84.5, alternative="greater").pvalue)
    assert result.p_below == pytest.approx(stats.ttest_1samp(VALUES, 83.5, alternative="less").pvalue)
    ends = DescrStatsW(VALUES).tconfint_mean(2 * LEVEL)
    assert (84 + result.low, 84 + result.high) == pytest.approx(ends)
    assert result.inside == (reference[0] < LEVEL)


def test_a_printed_number_of_one_training_gives_the_two_sample_t_test():
    """The spread is that of the measured values, so that the test is the t test of a mean and a single value."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        values, printed = rng.normal(84, 0.3, 6), float(rng.normal(84, 0.3))
        result = tost(float(values.mean()), Spread.of(list(values)), printed, 0.5)
        reference = stats.ttest_ind(values, [printed + 0.5], alternative="greater")
        assert result.p_above == pytest.approx(reference.pvalue)


def test_interval_and_tests_agree():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(600):
        values = list(rng.normal(84 + rng.normal(0, 0.6), rng.uniform(0.01, 0.3), rng.integers(3, 9)))
        slack = float(rng.choice([0.0, 0.05]))
        test = tost(float(np.mean(values)), Spread.of(values), 84.0, 0.5, slack=slack)
        assert test.inside == (test.low > slack - 0.5 and test.high < 0.5 - slack)
        assert test.above == (test.low > 0.5 + slack)
        assert test.below == (test.high < -0.5 - slack)
        seen.add((test.inside, test.above, test.below))
    assert len(seen) == 4


@pytest.mark.parametrize("target_runs", [0, 1, 10])
@pytest.mark.parametrize("seeds", [3, 5])
def test_error_rate_at_one_look_equals_the_level(seeds, target_runs):
    edge = frequencies(0.5, 0.02, seeds, target_runs, times=5000)
    error = 3.5 * (LEVEL / 5000) ** 0.5
    assert edge["inside"] == pytest.approx(LEVEL, abs=error)
    assert edge["above"] == pytest.approx(LEVEL, abs=error)
    assert edge["below"] == 0


def test_the_printed_number_has_a_spread_of_its_own():
    """With 30 seeds, a faithful replication was called outside the margin in a fifth of the cases."""
    faithful = frequencies(0.0, 0.5, 30, target_runs=1)
    assert faithful["above"] + faithful["below"] < 0.005
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(2000):
        values, printed = rng.normal(0, 0.5, 30), rng.normal(0, 0.5)
        test = tost(float(values.mean()), Spread(float(np.std(values, ddof=1)), 30, target_runs=0), printed, 0.5)
        wrong += test.above or test.below
    assert wrong / 2000 > 0.08
    assert Spread(0.6, 4, 10).error == pytest.approx(0.6 * np.sqrt(1 / 4 + 1 / 10))
    assert Spread(0.6, 4).error == pytest.approx(0.6 * np.sqrt(1 / 4 + 1))


def test_slack_holds_for_every_error_of_the_target():
    for error in (-0.05, 0.0, 0.05):
        edge = frequencies(0.5 + error, 0.02, 4, slack=0.05)
        assert edge["inside"] < 2 * LEVEL
        assert edge["above"] < 2 * LEVEL
    narrow = tost(84.0, exact(), 84.0, 0.5)
    assert tost(84.0, exact(), 84.0, 0.5, slack=0.2).p_inside > narrow.p_inside
    assert not tost(84.0, exact(), 84.0, 0.5, slack=0.6).inside


def test_sampling_error_never_adds_a_decision():
    rng = np.random.default_rng(9)
    for _ in range(300):
        seeds, sampling = int(rng.integers(3, 7)), float(rng.uniform(0.01, 0.4))
        mean, sd = float(rng.normal(0, 0.6)), float(rng.uniform(0.01, 0.2))
        same, other = (tost(mean, Spread(sd, seeds, sampling=s), 0.0, 0.5) for s in (0.0, sampling))
        assert other.high > same.high
        assert same.inside or not other.inside
        assert same.above or not other.above
        assert same.below or not other.below


def test_more_seeds_reduce_the_seed_variance_alone():
    few, many = Spread(0.3, 4, 0, sampling=0.48), Spread(0.3, 4_000_000, 0, sampling=0.48)
    assert few.error == pytest.approx(np.sqrt(0.3**2 / 4 + 0.48**2))
    assert many.error == pytest.approx(0.48, rel=1e-3)
    assert Spread(0.3, 4_000_000, 0).error == pytest.approx(0.00015)
    assert Spread(0.3, 4_000_000).error == pytest.approx(0.3)


def test_without_variance_the_position_of_the_mean_decides():
    one = Spread(0.0, 1, 0)
    inside, edge, above = (tost(mean, one, 84.0, 0.5) for mean in (84.2, 84.5, 84.6))
    assert (inside.p_inside, inside.inside) == (0, True)
    assert edge.inside
    assert (above.p_inside, above.above, above.inside, above.below) == (1, True, False, False)
    assert tost(83.0, one, 84.0, 0.5).below
    for mean in (84.46, 84.5, 84.54, 83.46):
        close = tost(mean, one, 84.0, 0.5, slack=0.05)
        assert (close.inside, close.above, close.below) == (False, False, False)
    assert tost(84.44, one, 84.0, 0.5, slack=0.05).inside
    assert tost(84.56, one, 84.0, 0.5, slack=0.05).above


def test_impossible_arguments_are_reported():
    one = Spread(0.0, 1, 0)
    with pytest.raises(ArgumentError, match="at least two seeds"):
        tost(84.0, Spread(0.1, 1), 84.0, 0.5)
    with pytest.raises(ArgumentError, match="positive margin"):
        tost(84.0, one, 84.0, 0.0)
    with pytest.raises(ArgumentError, match="slack that is not negative"):
        tost(84.0, one, 84.0, 0.5, slack=-0.1)
    with pytest.raises(ArgumentError, match="at least two values, not 1"):
        Spread.of([84.0])


def test_equal_rounded_values_have_the_variance_of_rounding():
    assert Spread.of([65.0, 65.0], step=1.0).sd == pytest.approx(1 / np.sqrt(12))
    assert not tost(65.0, Spread.of([65.0, 65.0, 65.0], step=1.0), 65.3, 1.0).inside
    assert tost(65.0, Spread.of([65.0, 65.0, 65.0]), 65.3, 1.0).inside
    assert Spread.of([84.0, 85.0], step=1.0).sd == pytest.approx(np.sqrt(0.5))


def test_seeds_of_one_split_count_as_one_value():
    values = [[30.0, 32.0], [35.0, 33.0], [28.0, 28.0]]
    mean, spread = spread_of_splits(values, target_runs=10)
    assert mean == pytest.approx(31.0)
    assert (spread.seeds, spread.sd) == (3, pytest.approx(3.0))
    # Variance within splits (2 + 2 + 0) / 3, of which averaging over two seeds removes a half.
    assert spread.repeated == (pytest.approx(4 / 3 / 2 / 10), 3)
    alone, single = spread_of_splits([[1.0], [2.0], [4.0]], target_runs=10)
    assert (alone, single) == (pytest.approx(7 / 3), Spread.of([1.0, 2.0, 4.0], target_runs=10))


def test_error_rate_with_seeds_that_use_splits_again():
    """Seed k uses split k mod 10; the splits of the authors are ten others."""
    rng, wrong, naive = np.random.default_rng(2), 0, 0
    for _ in range(3000):
        values = 0.3 * rng.normal(size=(10, 1)) + 0.1 * rng.normal(size=(10, 10))
        authors = float((0.3 * rng.normal(size=10) + 0.1 * rng.normal(size=10)).mean())
        mean, spread = spread_of_splits(values.tolist(), target_runs=10)
        wrong += tost(mean + 0.5, spread, authors, 0.5).inside
        naive += tost(mean + 0.5, Spread.of(values.ravel().tolist(), target_runs=10), authors, 0.5).inside
    assert wrong / 3000 < 3 * LEVEL
    assert naive > 2 * wrong

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from fgbench.statistics import Spread, power, seeds_to_decide, spread_that_decides, tost
from fgbench.util.errors import ArgumentError

VALUES = [84.1, 83.6, 84.5, 84.0]


def simulate(mean, sd, seeds, target_runs=0, sampling=0.0, margin=0.5, times=4000, seed=0):
    """Return the frequency of each result. The target is 0, or the mean of `target_runs` simulated runs."""
    rng = np.random.default_rng(seed)
    counts = {"inside": 0, "above": 0, "below": 0}
    for _ in range(times):
        values = rng.normal(mean, sd, seeds) + rng.normal(0, sampling)
        target = rng.normal(0, sd / target_runs**0.5) if target_runs else 0.0
        spread = Spread(float(np.std(values, ddof=1)), seeds, target_runs, sampling)
        test = tost(float(values.mean()), spread, target, margin)
        for place in counts:
            counts[place] += getattr(test, place)
    return {place: count / times for place, count in counts.items()}


def test_tost_equals_scipy_and_statsmodels():
    result = tost(float(np.mean(VALUES)), Spread.of(VALUES), 84.0, 0.5)
    assert result.p_low == pytest.approx(stats.ttest_1samp(VALUES, 83.5, alternative="greater").pvalue)
    assert result.p_high == pytest.approx(stats.ttest_1samp(VALUES, 84.5, alternative="less").pvalue)
    reference = DescrStatsW(VALUES).ttost_mean(83.5, 84.5)
    assert result.p == pytest.approx(reference[0])
    assert (result.p_low, result.p_high) == pytest.approx((reference[1][1], reference[2][1]))
    assert (result.low, result.high) == pytest.approx(DescrStatsW(VALUES).tconfint_mean(0.1))
    assert result.inside
    assert not tost(float(np.mean(VALUES)), Spread.of(VALUES), 84.3, 0.5).inside


def test_interval_and_tests_agree():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        values = list(rng.normal(84 + rng.normal(0, 0.4), rng.uniform(0.02, 0.6), rng.integers(2, 8)))
        test = tost(float(np.mean(values)), Spread.of(values), 84.0, 0.5)
        assert test.inside == (test.low > 83.5 and test.high < 84.5)
        assert test.above == (test.low > 84.5)
        assert test.below == (test.high < 83.5)
        seen.add((test.inside, test.above, test.below))
    assert len(seen) == 4


@pytest.mark.parametrize("sampling", [0.0, 0.05, 0.2], ids=["same images", "more other images", "other images"])
@pytest.mark.parametrize("seeds", [2, 5])
def test_error_rate_of_each_result_is_at_most_five_percent(seeds, sampling):
    on_the_edge = simulate(0.5, 0.2, seeds, sampling=sampling)
    assert on_the_edge["inside"] < 0.06
    assert on_the_edge["above"] < 0.06
    assert on_the_edge["below"] < 0.001
    assert simulate(-0.5, 0.2, seeds, sampling=sampling, seed=1)["below"] < 0.06


def test_sampling_error_never_adds_a_decision():
    rng = np.random.default_rng(9)
    for _ in range(300):
        seeds, sampling = int(rng.integers(2, 6)), float(rng.uniform(0.01, 0.4))
        mean, sd = float(rng.normal(0, 0.6)), float(rng.uniform(0.01, 0.5))
        same, other = (tost(mean, Spread(sd, seeds, sampling=s), 0.0, 0.5) for s in (0.0, sampling))
        assert other.high > same.high
        assert same.inside or not other.inside
        assert same.above or not other.above
        assert same.below or not other.below


def test_error_rate_on_the_edge_of_the_margin_equals_the_level():
    edge = simulate(0.5, 0.05, 4, times=6000)
    assert 0.042 < edge["inside"] < 0.058
    assert 0.042 < edge["above"] < 0.058


def test_target_that_is_a_mean_of_runs_is_uncertain():
    assert simulate(1.0, 0.6, 4, target_runs=10, margin=1.0)["above"] < 0.06
    assert simulate(1.0, 0.6, 4, target_runs=10, margin=1.0)["inside"] < 0.06
    # With the target taken as exact, the error rate is too high.
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(3000):
        values, target = rng.normal(1.0, 0.6, 20), rng.normal(0, 0.6 / 10**0.5)
        wrong += tost(float(values.mean()), Spread(float(np.std(values, ddof=1)), 20), target, 1.0).above
    assert wrong / 3000 > 0.1
    assert Spread(0.6, 4, 10).error == pytest.approx(0.6 * np.sqrt(1 / 4 + 1 / 10))


def test_more_seeds_reduce_the_seed_variance_but_not_the_sampling_error():
    few, many = Spread(0.3, 4, sampling=0.48), Spread(0.3, 4_000_000, sampling=0.48)
    assert few.error == pytest.approx(np.sqrt(0.3**2 / 4 + 0.48**2))
    assert many.error == pytest.approx(0.48, rel=1e-3)
    assert Spread(0.3, 4_000_000).error == pytest.approx(0.00015)


def test_without_variance_the_position_of_the_mean_decides():
    one = Spread(0.0, 1)
    inside, edge, above = (tost(mean, one, 84.0, 0.5) for mean in (84.2, 84.5, 84.6))
    assert (inside.p, inside.inside) == (0, True)
    assert edge.inside
    assert (above.p, above.above, above.inside, above.below) == (1, True, False, False)
    assert tost(83.0, one, 84.0, 0.5).below
    with pytest.raises(ArgumentError, match="at least two seeds"):
        tost(84.0, Spread(0.1, 1), 84.0, 0.5)
    with pytest.raises(ArgumentError, match="positive margin"):
        tost(84.0, one, 84.0, 0.0)
    with pytest.raises(ArgumentError, match="at least two values, not 1"):
        Spread.of([84.0])


def test_equal_rounded_values_have_the_variance_of_rounding():
    assert Spread.of([65.0, 65.0], step=1.0).sd == pytest.approx(1 / np.sqrt(12))
    assert not tost(65.0, Spread.of([65.0, 65.0], step=1.0), 65.3, 1.0).inside
    assert Spread.of([84.0, 85.0], step=1.0).sd == pytest.approx(np.sqrt(0.5))
    # 100 images; two seeds have equal values by chance at the edge of the margin.
    rng = np.random.default_rng(6)
    wrong = {True: 0, False: 0}
    for _ in range(4000):
        values = list(np.round(rng.normal(66.0, 2.0, 2)))
        for floor in wrong:
            spread = Spread.of(values, step=1.0 if floor else 0.0)
            wrong[floor] += tost(float(np.mean(values)), spread, 65.0, 1.0).inside
    assert wrong[True] / 4000 < 0.05 < wrong[False] / 4000 + 0.02


@pytest.mark.parametrize(
    ("difference", "sd", "seeds", "target_runs", "sampling"),
    [(0.0, 0.2, 3, 0, 0.0), (0.1, 0.3, 6, 0, 0.0), (-0.2, 0.15, 4, 0, 0.1), (0.1, 0.2, 5, 10, 0.0)],
)
def test_power_inside_the_margin_equals_simulation(difference, sd, seeds, target_runs, sampling):
    value = power(Spread(sd, seeds, target_runs, sampling), difference, 0.5)
    simulated = simulate(difference, sd, seeds, target_runs, sampling, seed=2)["inside"]
    assert 0.05 < value < 0.995
    assert value == pytest.approx(simulated, abs=0.025)


@pytest.mark.parametrize(("difference", "place"), [(0.8, "above"), (-0.8, "below")])
def test_power_outside_the_margin_equals_simulation(difference, place):
    value = power(Spread(0.3, 5), difference, 0.5)
    assert value == pytest.approx(simulate(difference, 0.3, 5, seed=3)[place], abs=0.025)
    # The exact power of a one-sided t test follows from the noncentral t distribution.
    exact = stats.nct.sf(stats.t.ppf(0.95, 4), 4, 0.3 / (0.3 / np.sqrt(5)))
    assert value == pytest.approx(exact, abs=2e-3)


def test_seeds_to_decide_is_the_smallest_sufficient_number():
    for difference in (0.0, 0.2, -0.35, 0.7, -1.5):
        spread = Spread(0.3, 3)
        needed = seeds_to_decide(spread, difference, 0.5)
        assert power(Spread(0.3, needed), difference, 0.5) >= 0.8
        assert needed == 2 or power(Spread(0.3, needed - 1), difference, 0.5) < 0.8
    inside = simulate(0.2, 0.3, seeds_to_decide(Spread(0.3, 3), 0.2, 0.5), seed=4)["inside"]
    assert 0.78 < inside < 0.87


def test_seeds_to_decide_is_none_if_no_number_is_sufficient():
    assert seeds_to_decide(Spread(0.3, 3), 0.4999, 0.5) is None
    assert seeds_to_decide(Spread(0.1, 3, sampling=0.48), 0.0, 0.5) is None
    assert seeds_to_decide(Spread(0.1, 3, sampling=0.15), 0.0, 0.5) == 4
    assert seeds_to_decide(Spread(4.0, 5, target_runs=10), 0.0, 1.0) is None
    assert seeds_to_decide(Spread(4.0, 5), 0.0, 1.0) > 100


def test_spread_that_decides_has_the_required_power():
    for difference, seeds, target_runs in ((0.1, 3, 0), (0.8, 3, 0), (0.0, 5, 10)):
        widest = spread_that_decides(difference, 0.5, seeds, target_runs)
        assert power(Spread(0.99 * widest, seeds, target_runs), difference, 0.5) > 0.8
        assert power(Spread(1.01 * widest, seeds, target_runs), difference, 0.5) < 0.8
    assert spread_that_decides(0.5, 0.5, 3) == 0
    assert spread_that_decides(0.1, 0.5, 3) < spread_that_decides(0.1, 0.5, 5) < spread_that_decides(0.0, 0.5, 5)

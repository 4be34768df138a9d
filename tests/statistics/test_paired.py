import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as theirs
from statsmodels.stats.multitest import multipletests

from fgbench.statistics import (
    compare_crossed,
    compare_resampled,
    holm,
    mcnemar,
    paired_permutation,
)
from fgbench.util.errors import FgbenchError


def pair(only_a, only_b, both=10, neither=5):
    a = np.repeat([True, False, True, False], [only_a, only_b, both, neither])
    b = np.repeat([False, True, True, False], [only_a, only_b, both, neither])
    return a, b


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 7), (0, 0), (3, 3), (25, 40), (120, 60), (0, 5)])
def test_mcnemar_equals_statsmodels(only_a, only_b):
    found = mcnemar(*pair(only_a, only_b))
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p == pytest.approx(theirs([[10, only_a], [only_b, 5]], exact=True).pvalue)
    k, n = min(only_a, only_b), only_a + only_b
    mid = 2 * (stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5) / 2)
    assert found.p_mid == pytest.approx(min(1, mid))
    assert found.p_mid <= found.p


def test_mcnemars_values_for_a_known_table():
    """Fagerland et al. 2013, airway hyper-responsiveness before and after a transplant: 1 and 7."""
    found = mcnemar(*pair(1, 7))
    assert (round(found.p, 4), round(found.p_mid, 4)) == (0.0703, 0.0391)


def test_mcnemar_is_of_the_same_images():
    with pytest.raises(FgbenchError, match="same images"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(FgbenchError, match="same images"):
        mcnemar(np.ones(0, bool), np.ones(0, bool))


def test_mcnemars_false_alarms():
    rng = np.random.default_rng(0)
    easy = rng.beta(2, 0.7, 400)
    found = [mcnemar(rng.random(400) < easy, rng.random(400) < easy) for _ in range(3000)]
    exact, mid = (np.mean([getattr(each, name) < 0.05 for each in found]) for name in ("p", "p_mid"))
    assert exact < 0.05
    assert exact < mid
    assert 0.035 < mid < 0.06


@pytest.mark.parametrize("n", [2, 6, 12])
def test_permutation_of_few_values_equals_scipys(n):
    x = np.round(np.random.default_rng(n).normal(0.5, 1, n), 3)
    their = stats.permutation_test(
        (x, np.zeros(n)), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert paired_permutation(x) == pytest.approx(their.pvalue)


def test_permutation_of_many_values_equals_scipys_and_is_the_same_twice():
    rng = np.random.default_rng(5)
    x = rng.beta(0.5, 1, 200) - rng.beta(0.45, 1, 200)
    their = stats.permutation_test(
        (x, np.zeros(200)), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", n_resamples=9999,
        vectorized=True, rng=2,
    )  # fmt: skip
    assert 0.02 < their.pvalue < 0.5
    assert paired_permutation(x) == pytest.approx(their.pvalue, abs=0.015)
    assert paired_permutation(x) == paired_permutation(x)
    assert paired_permutation(np.concatenate([x, np.zeros(500)])) == paired_permutation(x)
    assert paired_permutation(-x) == pytest.approx(paired_permutation(x), abs=0.015)


def test_permutation_is_never_sure_and_says_nothing_of_equal_values():
    assert paired_permutation(np.ones(50)) == 1 / 10_000
    assert paired_permutation(np.zeros(50)) == 1
    assert paired_permutation(np.array([0.1, 0.2, -0.3])) == 1  # a sum of 0 but for rounding


def test_permutations_false_alarms():
    rng = np.random.default_rng(2)
    p = [paired_permutation(rng.beta(0.5, 1, 60) - rng.beta(0.5, 1, 60), seed=i, resamples=499) for i in range(1500)]
    assert 0.035 < np.mean(np.array(p) <= 0.05) < 0.062


def runs(rng, seeds, n, seed_sd, gap=0.0):
    """Right and wrong of two methods: images alike hard for both, seeds that are better or worse on all of them."""
    hardness = rng.normal(1.2, 1.5, n)
    spreads = seed_sd if isinstance(seed_sd, tuple) else (seed_sd, seed_sd)
    sides = []
    for count, sd, shift in zip(seeds, spreads, (gap, 0.0), strict=True):
        own = hardness + rng.normal(0, 0.8, n)
        lifts = rng.normal(0, sd, count)
        sides.append(np.stack([rng.random(n) < 1 / (1 + np.exp(-own - lift - shift)) for lift in lifts]))
    return sides


def test_one_seed_each_is_mcnemar_or_permutation_with_the_paired_bootstrap():
    rng = np.random.default_rng(3)
    a, b = runs(rng, (1, 1), 300, 0.1, 0.5)
    found = compare_crossed(a, b)
    assert found.p == mcnemar(a[0], b[0]).p
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert found.interval.low < found.value < found.interval.high
    assert "McNemar" in found.test
    assert "one trained network each" in found.test
    assert "one trained network" not in compare_crossed(a, b, fixed=True).test
    shares = compare_crossed(a * 0.5, b * 0.7)
    assert "permutation" in shares.test
    assert shares.p == paired_permutation(a[0] * 0.5 - b[0] * 0.7)
    assert compare_crossed(b, a).value == -found.value
    scaled = found.times(100)
    assert (scaled.value, scaled.interval.low) == (100 * found.value, 100 * found.interval.low)
    assert scaled.p == found.p


@pytest.mark.parametrize("seeds", [(3, 3), (4, 2)])
def test_several_seeds_have_parts_of_variance(seeds):
    rng = np.random.default_rng(4)
    a, b = runs(rng, seeds, 250, 0.3)
    found = compare_crossed(a, b)
    each = a.mean(0) - b.mean(0)
    parts = [(each.var(ddof=1) / 250, 249)]
    spread = [a.mean(1).var(ddof=1), b.mean(1).var(ddof=1)]
    if seeds == (3, 3):
        parts.append((np.mean(spread) * 2 / 3, 4))
    else:
        parts += [(spread[0] / 4, 3), (spread[1] / 2, 1)]
    half = np.sqrt(sum(x * stats.t.isf(0.025, f) ** 2 for x, f in parts))
    assert found.interval == pytest.approx((each.mean() - half, each.mean() + half))
    assert found.n == 250
    # p is where the interval ends at 0
    at_p = sum(x * stats.t.isf(found.p / 2, f) ** 2 for x, f in parts)
    assert np.sqrt(at_p) == pytest.approx(abs(each.mean()))


def test_a_side_with_one_seed_is_taken_to_spread_like_the_other():
    rng = np.random.default_rng(4)
    a, b = runs(rng, (4, 1), 250, 0.3)
    each, own = a.mean(0) - b[0], a.mean(1).var(ddof=1)
    for fixed, share in ((False, 1 / 4 + 1), (True, 1 / 4)):
        found = compare_crossed(a, b, fixed=fixed)
        parts = [(each.var(ddof=1) / 250, 249), (own * share, 3)]
        half = np.sqrt(sum(x * stats.t.isf(0.025, f) ** 2 for x, f in parts))
        assert found.interval == pytest.approx((each.mean() - half, each.mean() + half))


def test_without_spread_of_images_the_test_is_students():
    a, b = np.tile([[0.1], [0.3], [0.2]], (1, 40)), np.full((1, 40), 0.6)
    theirs = stats.ttest_1samp([0.1, 0.3, 0.2], 0.6)
    assert compare_crossed(a, b, fixed=True).p == pytest.approx(theirs.pvalue)
    both = compare_crossed(a, np.tile([[0.5], [0.6], [0.65]], (1, 40)))
    theirs = stats.ttest_ind([0.1, 0.3, 0.2], [0.5, 0.6, 0.65])
    assert both.p == pytest.approx(theirs.pvalue)
    assert both.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert compare_crossed(np.ones((2, 3)), np.ones((2, 3))).p == 1
    assert compare_crossed(np.ones((2, 3)), np.zeros((2, 3))).p == 0


def gap_of(gap, draws=200_000):
    """The difference of two methods on all images and all seeds."""
    rng = np.random.default_rng(99)
    hardness = rng.normal(1.2, 1.5, draws)
    own, other = (hardness + rng.normal(0, 0.8, draws) for _ in range(2))
    lifts = rng.normal(0, 0.25, (2, draws))
    return np.mean(1 / (1 + np.exp(-own - lifts[0] - gap))) - np.mean(1 / (1 + np.exp(-other - lifts[1])))


@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (2, 5), (1, 3)])
@pytest.mark.parametrize("n", [300, 2000])
def test_false_alarms_over_images_and_seeds(seeds, n):
    rng = np.random.default_rng(5)
    p = np.array([compare_crossed(*runs(rng, seeds, n, 0.25)).p for _ in range(500)])
    assert np.mean(p < 0.05) < 0.07
    assert np.mean(p < 0.01) < 0.025


@pytest.mark.parametrize(("seeds", "most"), [((5, 2), 0.06), ((2, 5), 0.06), ((3, 3), 0.1)])
def test_false_alarms_where_one_side_spreads_eight_times_as_widely(seeds, most):
    rng = np.random.default_rng(10)
    p = np.array([compare_crossed(*runs(rng, seeds, 2000, (0.05, 0.4))).p for _ in range(500)])
    assert np.mean(p < 0.05) < most


def test_coverage_over_images_and_seeds():
    rng, true = np.random.default_rng(6), gap_of(0.4)
    found = [compare_crossed(*runs(rng, (3, 4), 300, 0.25, 0.4)).interval for _ in range(800)]
    assert np.mean([low <= true <= high for low, high in found]) > 0.94


def test_tests_of_images_alone_would_take_a_lucky_seed_for_a_better_method():
    rng = np.random.default_rng(6)
    alone = [mcnemar(*(side[0] for side in runs(rng, (1, 1), 2000, 0.25))).p < 0.05 for _ in range(400)]
    assert np.mean(alone) > 0.15


def test_divisions_that_share_images_are_fewer_than_they_seem():
    differences = np.array([0.02, 0.05, 0.01, 0.04])
    found = compare_resampled(differences, 0.0, 400)
    theirs = stats.ttest_1samp(differences, 0)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    corrected = compare_resampled(differences, 1.0, 400)
    t = differences.mean() / (differences.std(ddof=1) * np.sqrt(1 / 4 + 1))
    assert corrected.p == pytest.approx(2 * stats.t.sf(t, 3))
    assert corrected.n == 400


def test_false_alarms_over_random_halves_of_the_same_persons():
    """As on VIPeR: the halves overlap, so that a plain t test over them is wrong far too often."""
    rng = np.random.default_rng(7)
    rates = {0.0: [], 1.0: []}
    for _ in range(800):
        persons = rng.normal(0, 1, 60)
        halves = np.array([persons[rng.permutation(60)[:30]].mean() for _ in range(10)])
        for ratio, found in rates.items():
            found.append(compare_resampled(halves, ratio, 300).p < 0.05)
    assert np.mean(rates[1.0]) < 0.07
    assert np.mean(rates[0.0]) > 0.2


def test_a_comparison_is_of_the_same_images():
    with pytest.raises(FgbenchError, match="same images"):
        compare_crossed(np.ones((1, 3)), np.ones((1, 4)))
    with pytest.raises(FgbenchError, match="same images"):
        compare_crossed(np.ones(3), np.ones(3))


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_statsmodels(seed):
    rng = np.random.default_rng(seed)
    p = np.concatenate([rng.random(6), rng.random(4) / 100, [0.01, 0.01, 1.0]])
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))
    assert holm([]) == []
    assert holm([0.03]) == [0.03]


def test_holm_keeps_the_chance_of_any_false_alarm():
    rng = np.random.default_rng(8)
    any_alarm = [min(holm(np.concatenate([rng.random(8), [1e-9, 1e-8]]))[:8]) < 0.05 for _ in range(3000)]
    assert 0.035 < np.mean(any_alarm) < 0.062
    plain = [min(rng.random(8)) < 0.05 for _ in range(3000)]
    assert np.mean(plain) > 0.3

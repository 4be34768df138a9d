import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from fgbench.statistics import (
    compare_crossed,
    compare_resampled,
    mcnemar,
    paired_permutation,
)
from fgbench.util.errors import ArgumentError


def pair(only_a, only_b, both=10, neither=5):
    a = np.repeat([True, False, True, False], [only_a, only_b, both, neither])
    b = np.repeat([False, True, True, False], [only_a, only_b, both, neither])
    return a, b


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 7), (0, 0), (3, 3), (25, 40), (120, 60), (0, 5)])
def test_mcnemar_equals_statsmodels(only_a, only_b):
    result = mcnemar(*pair(only_a, only_b))
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert result.p == pytest.approx(statsmodels_mcnemar([[10, only_a], [only_b, 5]], exact=True).pvalue)
    k, n = min(only_a, only_b), only_a + only_b
    mid = 2 * (stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5) / 2)
    assert result.p_mid == pytest.approx(min(1, mid))
    assert result.p_mid <= result.p


def test_mcnemar_of_a_published_table():
    """Fagerland et al. 2013, airway hyper-responsiveness before and after a transplant: 1 and 7."""
    result = mcnemar(*pair(1, 7))
    assert (round(result.p, 4), round(result.p_mid, 4)) == (0.0703, 0.0391)


def test_mcnemar_of_different_images_raises():
    with pytest.raises(ValueError, match="same images"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ArgumentError, match="same images"):
        mcnemar(np.ones(0, bool), np.ones(0, bool))


def test_mcnemar_error_rate():
    rng = np.random.default_rng(0)
    easy = rng.beta(2, 0.7, 400)
    results = [mcnemar(rng.random(400) < easy, rng.random(400) < easy) for _ in range(3000)]
    exact, mid = (np.mean([getattr(result, name) < 0.05 for result in results]) for name in ("p", "p_mid"))
    assert exact < 0.05
    assert exact < mid
    assert 0.035 < mid < 0.06


@pytest.mark.parametrize("n", [2, 6, 12])
def test_permutation_of_few_values_equals_scipy(n):
    x = np.round(np.random.default_rng(n).normal(0.5, 1, n), 3)
    reference = stats.permutation_test(
        (x, np.zeros(n)), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert paired_permutation(x) == pytest.approx(reference.pvalue)


def test_permutation_of_many_values_equals_scipy_and_is_deterministic():
    rng = np.random.default_rng(5)
    x = rng.beta(0.5, 1, 200) - rng.beta(0.45, 1, 200)
    reference = stats.permutation_test(
        (x, np.zeros(200)), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", n_resamples=9999,
        vectorized=True, rng=2,
    )  # fmt: skip
    assert 0.02 < reference.pvalue < 0.5
    assert paired_permutation(x) == pytest.approx(reference.pvalue, abs=0.015)
    assert paired_permutation(x) == paired_permutation(x)
    assert paired_permutation(np.concatenate([x, np.zeros(500)])) == paired_permutation(x)
    assert paired_permutation(-x) == pytest.approx(paired_permutation(x), abs=0.015)


def test_permutation_p_is_never_0_and_is_1_without_differences():
    assert paired_permutation(np.ones(50)) == 1 / 10_000
    assert paired_permutation(np.zeros(50)) == 1
    assert paired_permutation(np.array([0.1, 0.2, -0.3])) == 1  # the sum is 0 except for rounding


def test_permutation_error_rate():
    rng = np.random.default_rng(2)
    p = [paired_permutation(rng.beta(0.5, 1, 60) - rng.beta(0.5, 1, 60), seed=i, resamples=499) for i in range(1500)]
    assert 0.035 < np.mean(np.array(p) <= 0.05) < 0.062


def runs(rng, seeds, n, seed_sd, gap=0.0):
    """Return right and wrong of two methods, (S, N) each; images differ in difficulty and seeds have an effect."""
    easiness = rng.normal(1.2, 1.5, n)
    spreads = seed_sd if isinstance(seed_sd, tuple) else (seed_sd, seed_sd)
    sides = []
    for count, sd, shift in zip(seeds, spreads, (gap, 0.0), strict=True):
        logits = easiness + rng.normal(0, 0.8, n)
        effects = rng.normal(0, sd, count)
        sides.append(np.stack([rng.random(n) < 1 / (1 + np.exp(-logits - effect - shift)) for effect in effects]))
    return sides


def test_one_seed_each_gives_mcnemar_or_permutation_test_and_paired_bootstrap():
    rng = np.random.default_rng(3)
    a, b = runs(rng, (1, 1), 300, 0.1, 0.5)
    result = compare_crossed(a, b)
    assert result.p == mcnemar(a[0], b[0]).p
    assert result.value == pytest.approx(a.mean() - b.mean())
    assert result.interval.low < result.value < result.interval.high
    assert "McNemar" in result.test
    assert "one trained network each" in result.test
    assert "one trained network" not in compare_crossed(a, b, fixed=True).test
    shares = compare_crossed(a * 0.5, b * 0.7)
    assert "permutation" in shares.test
    assert shares.p == paired_permutation(a[0] * 0.5 - b[0] * 0.7)
    assert compare_crossed(b, a).value == -result.value
    scaled = result.times(100)
    assert (scaled.value, scaled.interval.low) == (100 * result.value, 100 * result.interval.low)
    assert scaled.p == result.p


@pytest.mark.parametrize("seeds", [(3, 3), (4, 2)])
def test_several_seeds_give_variance_components(seeds):
    rng = np.random.default_rng(4)
    a, b = runs(rng, seeds, 250, 0.3)
    result = compare_crossed(a, b)
    per_image = a.mean(0) - b.mean(0)
    components = [(per_image.var(ddof=1) / 250, 249)]
    variances = [a.mean(1).var(ddof=1), b.mean(1).var(ddof=1)]
    components += [(v / n, n - 1) for v, n in zip(variances, seeds, strict=True)]
    half = np.sqrt(sum(x * stats.t.isf(0.025, f) ** 2 for x, f in components))
    assert result.interval == pytest.approx((per_image.mean() - half, per_image.mean() + half))
    assert result.n == 250
    # At confidence 1 - p, the interval ends at 0.
    at_p = sum(x * stats.t.isf(result.p / 2, f) ** 2 for x, f in components)
    assert np.sqrt(at_p) == pytest.approx(abs(per_image.mean()))


def test_one_seed_has_the_variance_of_the_other_side():
    rng = np.random.default_rng(4)
    a, b = runs(rng, (4, 1), 250, 0.3)
    per_image, variance = a.mean(0) - b[0], a.mean(1).var(ddof=1)
    for fixed, share in ((False, 1 / 4 + 1), (True, 1 / 4)):
        result = compare_crossed(a, b, fixed=fixed)
        components = [(per_image.var(ddof=1) / 250, 249), (variance * share, 3)]
        half = np.sqrt(sum(x * stats.t.isf(0.025, f) ** 2 for x, f in components))
        assert result.interval == pytest.approx((per_image.mean() - half, per_image.mean() + half))


def test_without_image_variance_the_test_is_a_t_test():
    a, b = np.tile([[0.1], [0.3], [0.2]], (1, 40)), np.full((1, 40), 0.6)
    reference = stats.ttest_1samp([0.1, 0.3, 0.2], 0.6)
    assert compare_crossed(a, b, fixed=True).p == pytest.approx(reference.pvalue)
    both = compare_crossed(a, np.tile([[0.5], [0.6], [0.65]], (1, 40)))
    error = np.sqrt((np.var([0.1, 0.3, 0.2], ddof=1) + np.var([0.5, 0.6, 0.65], ddof=1)) / 3)
    # Both sides have two degrees of freedom, so that Banerjee's interval uses one quantile.
    assert both.p == pytest.approx(2 * stats.t.sf((1.75 / 3 - 0.2) / error, 2))
    assert both.interval.high - both.value == pytest.approx(stats.t.isf(0.025, 2) * error)
    assert compare_crossed(np.ones((2, 3)), np.ones((2, 3))).p == 1
    assert compare_crossed(np.ones((2, 3)), np.zeros((2, 3))).p == 0


def true_difference(gap, draws=200_000):
    """Return the true difference of two methods over all images and seeds."""
    rng = np.random.default_rng(99)
    easiness = rng.normal(1.2, 1.5, draws)
    a, b = (easiness + rng.normal(0, 0.8, draws) for _ in range(2))
    effects = rng.normal(0, 0.25, (2, draws))
    return np.mean(1 / (1 + np.exp(-a - effects[0] - gap))) - np.mean(1 / (1 + np.exp(-b - effects[1])))


@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (2, 5), (1, 3)])
@pytest.mark.parametrize("n", [300, 2000])
def test_error_rate_over_images_and_seeds(seeds, n):
    rng = np.random.default_rng(5)
    p = np.array([compare_crossed(*runs(rng, seeds, n, 0.25)).p for _ in range(500)])
    assert np.mean(p < 0.05) < 0.07
    assert np.mean(p < 0.01) < 0.025


@pytest.mark.parametrize(("seeds", "limit"), [((5, 2), 0.06), ((2, 5), 0.06), ((3, 3), 0.06)])
def test_error_rate_if_one_side_has_eight_times_the_standard_deviation(seeds, limit):
    rng = np.random.default_rng(10)
    p = np.array([compare_crossed(*runs(rng, seeds, 2000, (0.05, 0.4))).p for _ in range(500)])
    assert np.mean(p < 0.05) < limit


def test_coverage_over_images_and_seeds():
    rng, truth = np.random.default_rng(6), true_difference(0.4)
    intervals = [compare_crossed(*runs(rng, (3, 4), 300, 0.25, 0.4)).interval for _ in range(800)]
    assert np.mean([low <= truth <= high for low, high in intervals]) > 0.94


def test_tests_without_seed_variance_have_a_high_error_rate():
    rng = np.random.default_rng(6)
    rejected = [mcnemar(*(side[0] for side in runs(rng, (1, 1), 2000, 0.25))).p < 0.05 for _ in range(400)]
    assert np.mean(rejected) > 0.15


def test_resampled_comparison_equals_the_formula():
    differences = np.array([0.02, 0.05, 0.01, 0.04])
    result = compare_resampled(differences, 0.0, 400)
    reference = stats.ttest_1samp(differences, 0)
    assert result.p == pytest.approx(reference.pvalue)
    assert result.interval == pytest.approx(tuple(reference.confidence_interval(0.95)))
    corrected = compare_resampled(differences, 1.0, 400)
    t = differences.mean() / (differences.std(ddof=1) * np.sqrt(1 / 4 + 1))
    assert corrected.p == pytest.approx(2 * stats.t.sf(t, 3))
    assert corrected.n == 400


def test_resampled_error_rate_over_random_halves():
    """As in VIPeR: halves share persons, so the error rate of a plain t test is too high."""
    rng = np.random.default_rng(7)
    rates = {0.0: [], 1.0: []}
    for _ in range(800):
        persons = rng.normal(0, 1, 60)
        halves = np.array([persons[rng.permutation(60)[:30]].mean() for _ in range(10)])
        for ratio, rejected in rates.items():
            rejected.append(compare_resampled(halves, ratio, 300).p < 0.05)
    assert np.mean(rates[1.0]) < 0.07
    assert np.mean(rates[0.0]) > 0.2


def test_comparison_of_different_images_raises():
    with pytest.raises(ArgumentError, match="same images"):
        compare_crossed(np.ones((1, 3)), np.ones((1, 4)))
    with pytest.raises(ArgumentError, match="same images"):
        compare_crossed(np.ones(3), np.ones(3))

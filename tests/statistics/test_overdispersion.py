"""One-sided tests of nights, moderated variances and steps, beside naive references and by simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from fgbench.statistics.change_points import find_level_shifts
from fgbench.statistics.moderated_variance import moderate
from fgbench.statistics.overdispersion import WORTH, Dispersion, decrease_test, estimate_dispersion
from fgbench.util.errors import FgbenchError

COINS = Dispersion(1e-6, np.inf)
"""Leaves the exact test alone."""


def test_mcnemar_one_sided_is_half_of_the_two_sided():
    base, head = np.ones((1, 40)), np.ones((1, 40))
    head[0, :9], base[0, 20:22] = 0, 0
    theirs = their_mcnemar([[0, 9], [2, 0]], exact=True).pvalue
    p, test = decrease_test(base, head, COINS)
    assert p == pytest.approx(theirs / 2)
    assert test == "McNemar's exact test"
    assert decrease_test(head, base, COINS)[0] > 0.9
    assert decrease_test(base, base, COINS)[0] == 1


def test_few_images_go_through_every_sign():
    rng = np.random.default_rng(0)
    base, head = rng.random((2, 9)), rng.random((2, 9)) - 0.3
    each = (base - head).mean(axis=0)
    sums = [np.dot(signs, each) for signs in product((1, -1), repeat=9)]
    assert decrease_test(base, head, COINS)[0] == pytest.approx(np.mean([s >= each.sum() - 1e-12 for s in sums]))


def test_right_and_wrong_over_seeds_go_through_every_sign():
    rng = np.random.default_rng(1)
    base, head = rng.random((3, 14)) < 0.8, rng.random((3, 14)) < 0.4
    each = (base.astype(int) - head).sum(axis=0)
    sums = [np.dot(signs, each) for signs in product((1, -1), repeat=14)]
    p, test = decrease_test(base, head, COINS)
    assert test == "exact permutation test over seeds"
    assert p == pytest.approx(np.mean(np.array(sums) >= each.sum()))


def test_far_out_p_values_are_exact_or_bounded_from_above():
    base, head = np.ones((2, 40)), np.zeros((2, 40))
    assert decrease_test(base, head, COINS)[0] == pytest.approx(2.0**-40, rel=1e-6)
    assert decrease_test(head, base, COINS)[0] > 0.99
    assert 2.0**-40 <= decrease_test(0.9 * base, head, COINS)[0] < 1e-8  # no whole differences: Hoeffding's bound


def test_luck_holds_the_same_sum_against_more():
    base, head = np.ones((1, 100)), np.ones((1, 100))
    head[0, :30] = 0
    assert decrease_test(base, head, Dispersion(4.0, 12))[0] == pytest.approx(stats.t.sf(30**0.5 / 2, 12))
    assert decrease_test(base, base, Dispersion(4.0, 12))[0] == 1


def test_luck_of_two_seeds_is_the_square_of_mcnemars_z():
    rng = np.random.default_rng(4)
    runs = [[(rng.random((2, 300)) < 0.5 + 0.2 * np.array([[0], [1]]))] for _ in range(8)]
    squares = [float((a.astype(int) - b).sum()) ** 2 / (a != b).sum() for ((a, b),) in runs]
    found = estimate_dispersion(runs, 2.0)
    assert found.freedom == WORTH + 8
    assert found.ratio == pytest.approx((2.0 * WORTH + sum(squares)) / (WORTH + 8))


def test_luck_is_that_of_coins_where_images_throw_them_and_as_expected_without_seeds():
    rng = np.random.default_rng(5)
    chances = rng.random(500)
    many = [[(rng.random((6, 500)) < chances)] for _ in range(400)]
    assert estimate_dispersion(many, 2.5).ratio == pytest.approx(1, abs=0.1)
    assert estimate_dispersion([], 2.5) == estimate_dispersion([[many[0][0][:1]]], 2.5) == Dispersion(2.5, WORTH)


def test_seeds_and_images_have_to_be_the_same():
    with pytest.raises(FgbenchError, match="same seeds"):
        decrease_test(np.ones((2, 3)), np.ones((1, 3)), COINS)


def test_moderation_finds_the_prior_that_was_drawn_from():
    rng = np.random.default_rng(0)
    prior, center, freedom = 8.0, 2.0, 5
    true = center * prior / rng.chisquare(prior, 20000)
    found = moderate(true * rng.chisquare(freedom, 20000) / freedom, freedom)
    assert found.freedom - freedom == pytest.approx(prior, rel=0.1)
    s2 = found.variances
    t = rng.normal(size=20000) * np.sqrt(true) / np.sqrt(s2)
    assert (2 * stats.t.sf(np.abs(t), found.freedom) < 0.01).mean() == pytest.approx(0.01, abs=0.0025)


def test_equal_variances_are_pooled_and_one_stays():
    rng = np.random.default_rng(1)
    found = moderate(3.0 * rng.chisquare(6, 5000) / 6, 6)
    assert found.freedom > 100
    assert np.allclose(found.variances, 3.0, rtol=0.1)
    assert moderate(np.array([2.0]), 4).variances.tolist() == [2.0]


def test_planted_steps_are_found_where_they_are():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, 1, 20), rng.normal(4, 1, 20), rng.normal(8, 1, 20)])
    steps = find_level_shifts(x)
    assert len(steps) == 2
    assert abs(steps[0].at - 20) <= 1
    assert abs(steps[1].at - 40) <= 1
    assert steps[0].before == pytest.approx(x[: steps[0].at].mean())
    assert steps[0].after == pytest.approx(x[steps[0].at : steps[1].at].mean())


def test_noise_and_one_odd_night_are_no_step():
    rng = np.random.default_rng(3)
    assert sum(bool(find_level_shifts(rng.normal(size=30), seed=k)) for k in range(60)) <= 1
    x = rng.normal(0, 0.1, 30)
    x[12] = 50
    assert find_level_shifts(x) == []
    assert find_level_shifts(np.ones(30)) == []
    assert find_level_shifts(np.array([])) == []

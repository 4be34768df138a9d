from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from fgbench.statistics.overdispersion import PRIOR_FREEDOM, Dispersion, decrease_test, estimate_dispersion

INDEPENDENT = Dispersion(1e-6, np.inf)
"""A dispersion so small that the p-value is that of the permutation test."""


def test_one_seed_gives_half_of_the_two_sided_mcnemar_p():
    base, head = np.ones((1, 40)), np.ones((1, 40))
    head[0, :9], base[0, 20:22] = 0, 0
    reference = statsmodels_mcnemar([[0, 9], [2, 0]], exact=True).pvalue
    p, test = decrease_test(base, head, INDEPENDENT)
    assert p == pytest.approx(reference / 2)
    assert test == "McNemar's exact test"
    assert decrease_test(head, base, INDEPENDENT)[0] > 0.9
    assert decrease_test(base, base, INDEPENDENT)[0] == 1


def test_few_images_enumerate_all_signs():
    rng = np.random.default_rng(0)
    base, head = rng.random((2, 9)), rng.random((2, 9)) - 0.3
    differences = (base - head).mean(axis=0)
    sums = [np.dot(signs, differences) for signs in product((1, -1), repeat=9)]
    assert decrease_test(base, head, INDEPENDENT)[0] == pytest.approx(
        np.mean([s >= differences.sum() - 1e-12 for s in sums])
    )


def test_right_and_wrong_over_seeds_enumerate_all_signs():
    rng = np.random.default_rng(1)
    base, head = rng.random((3, 14)) < 0.8, rng.random((3, 14)) < 0.4
    differences = (base.astype(int) - head).sum(axis=0)
    sums = [np.dot(signs, differences) for signs in product((1, -1), repeat=14)]
    p, test = decrease_test(base, head, INDEPENDENT)
    assert test == "exact permutation test over seeds"
    assert p == pytest.approx(np.mean(np.array(sums) >= differences.sum()))


def test_small_p_values_are_exact_or_an_upper_bound():
    base, head = np.ones((2, 40)), np.zeros((2, 40))
    assert decrease_test(base, head, INDEPENDENT)[0] == pytest.approx(2.0**-40, rel=1e-6)
    assert decrease_test(head, base, INDEPENDENT)[0] > 0.99
    assert 2.0**-40 <= decrease_test(0.9 * base, head, INDEPENDENT)[0] < 1e-8  # not 0 and 1: Hoeffding's bound


def test_dispersion_gives_a_t_test_of_the_same_sum():
    base, head = np.ones((1, 100)), np.ones((1, 100))
    head[0, :30] = 0
    assert decrease_test(base, head, Dispersion(4.0, 12))[0] == pytest.approx(stats.t.sf(30**0.5 / 2, 12))
    assert decrease_test(base, base, Dispersion(4.0, 12))[0] == 1


def test_dispersion_of_two_seeds_is_the_square_of_mcnemar_z():
    rng = np.random.default_rng(4)
    runs = [[(rng.random((2, 300)) < 0.5 + 0.2 * np.array([[0], [1]]))] for _ in range(8)]
    squares = [float((a.astype(int) - b).sum()) ** 2 / (a != b).sum() for ((a, b),) in runs]
    dispersion = estimate_dispersion(runs, 2.0)
    assert dispersion.freedom == PRIOR_FREEDOM + 8
    assert dispersion.ratio == pytest.approx((2.0 * PRIOR_FREEDOM + sum(squares)) / (PRIOR_FREEDOM + 8))


def test_dispersion_is_1_for_independent_images_and_the_prior_without_seeds():
    rng = np.random.default_rng(5)
    chances = rng.random(500)
    many = [[(rng.random((6, 500)) < chances)] for _ in range(400)]
    assert estimate_dispersion(many, 2.5).ratio == pytest.approx(1, abs=0.1)
    assert (
        estimate_dispersion([], 2.5) == estimate_dispersion([[many[0][0][:1]]], 2.5) == Dispersion(2.5, PRIOR_FREEDOM)
    )


def test_different_seeds_raise():
    with pytest.raises(ValueError, match="same seeds"):
        decrease_test(np.ones((2, 3)), np.ones((1, 3)), INDEPENDENT)


def test_seeds_with_the_same_networks_in_both_nights_have_no_variance_of_their_own():
    """Seeds of which each has other images right, and which lose the same 40 images."""
    rng = np.random.default_rng(6)
    base = rng.random((3, 1000)) < np.array([[0.78], [0.8], [0.82]])
    head = base.copy()
    head[:, np.flatnonzero(base.all(axis=0))[:40]] = False
    assert decrease_test(base, head, Dispersion(1.0, 1000))[0] < 1e-5
    anew = rng.random((3, 1000)) < np.array([[0.74], [0.76], [0.78]])
    assert decrease_test(base, anew, Dispersion(1.0, 1000))[0] > 1e-4

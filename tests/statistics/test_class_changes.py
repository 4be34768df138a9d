from itertools import product

import numpy as np
import pytest
from scipy import stats

from fgbench.statistics.class_changes import class_decreases, class_sums, estimate_class_dispersion
from fgbench.statistics.overdispersion import PRIOR_FREEDOM, Dispersion

ONE = Dispersion(1.0, np.inf)


def test_the_exact_p_value_is_that_of_all_signs():
    """The share of sign vectors in which the smallest p-value of all classes is at most as small."""
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3])
    differences = np.array([1, 1, 1, 1, 1, -1, 1, -1, 0])
    base, head = (differences > 0)[None].astype(float), (differences < 0)[None].astype(float)
    nonzero = np.flatnonzero(differences)

    def smallest(signs):
        return [
            stats.binom.sf((signs[labels == k] > 0).sum() - 1, (signs[labels == k] != 0).sum(), 0.5) for k in range(3)
        ]

    observed = smallest(differences)
    minima = []
    for signs in product((1, -1), repeat=len(nonzero)):
        drawn = differences.copy()
        drawn[nonzero] = signs
        minima.append(min(smallest(drawn)))
    expected = [np.mean(np.array(minima) <= p + 1e-12) for p in observed]
    assert class_decreases(base, head, labels, None) == pytest.approx([*expected, 1.0])


def test_a_class_without_differences_does_not_count():
    """Twelve images of one class lost: the other 199 classes are equal and cannot be found."""
    labels = np.arange(200 * 12) % 200
    base = np.ones((1, 2400))
    p = class_decreases(base, base * (labels != 5), labels, None)
    assert p[5] == pytest.approx(2.0**-12)
    assert p[:5] + p[6:] == [1.0] * 199


def test_with_training_it_is_a_t_test_of_the_class_adjusted_for_all_classes():
    """A class of 1,000 images falls from 70 to 60 %, with 21 % of variance an image, doubled by the dispersion."""
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 4
    base, head = rng.random((2, 3, 4000)) < 0.7 - 0.1 * np.array([0, 1])[:, None, None] * (labels == 2)
    lost = (class_sums(base, labels) - class_sums(head, labels)).sum(axis=0)[2]
    statistic = lost / (2.0 * 3 * 2 * 1000 * 0.21) ** 0.5
    p = class_decreases(base, head, labels, Dispersion(2.0, np.inf))[2]
    assert stats.norm.isf(p / 4) == pytest.approx(statistic, rel=0.1)


def test_a_class_lost_by_one_seed_has_the_variance_of_its_seeds():
    rng = np.random.default_rng(1)
    labels = np.arange(600) % 20
    base, head = rng.random((2, 3, 600)) < 0.8
    every, one = head.copy(), head.copy()
    every[:, labels == 4] = one[0, labels == 4] = False
    assert class_decreases(base, every, labels, ONE)[4] < 1e-9
    assert class_decreases(base, one, labels, ONE)[4] > 1e-3


def test_one_seed_gives_p_values_without_a_variance_of_seeds():
    rng = np.random.default_rng(2)
    labels = np.arange(2000) % 20
    base, head = rng.random((2, 1, 2000)) < 0.8
    assert min(class_decreases(base, head, labels, ONE)) > 0.01
    head[:, labels == 4] = False
    p = class_decreases(base, head, labels, ONE)
    assert int(np.argmin(p)) == 4
    assert p[4] < 1e-9


def test_equal_nights_have_p_values_of_one():
    base = np.random.default_rng(3).random((2, 100)) < 0.5
    labels = np.arange(100) % 10
    for dispersion in (None, ONE):
        assert min(class_decreases(base, base, labels, dispersion)) >= 0.5
        assert min(class_decreases(np.ones((2, 100)), np.ones((2, 100)), labels, dispersion)) >= 0.5


def test_the_dispersion_of_classes_is_that_of_their_effects():
    """Class effects of 0.1 on 50 images: 1 + 50 * 0.01 / (0.25 - 0.01)."""
    rng = np.random.default_rng(4)
    labels = np.arange(5000) % 100
    rows = [rng.random((4, 5000)) < 0.5 + 0.1 * rng.choice((-1, 1), (4, 100))[:, labels] for _ in range(10)]
    assert estimate_class_dispersion(((r, labels) for r in rows), 1.0).ratio == pytest.approx(3.0, rel=0.1)
    assert estimate_class_dispersion([], 1.7) == Dispersion(1.7, PRIOR_FREEDOM)
    assert estimate_class_dispersion([(rows[0][:1], labels)], 1.7) == Dispersion(1.7, PRIOR_FREEDOM)

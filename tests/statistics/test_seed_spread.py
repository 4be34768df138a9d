import numpy as np
import pytest
from scipy import stats

from fgbench.statistics.overdispersion import Dispersion, variance_ratio
from fgbench.statistics.seed_spread import detectable_spread, spread_test


def nights(effects, rng, images=1000):
    """Return right images of seeds whose accuracies differ from 50 % by `effects`."""
    return rng.random((len(effects), images)) < 0.5 + np.array(effects)[:, None]


def test_the_p_value_is_that_of_the_ratio_of_variances():
    rng = np.random.default_rng(0)
    base, head = np.ones((3, 1000)), nights((-0.05, 0, 0.05), rng)
    ratio = variance_ratio(head)
    assert spread_test(base, head, Dispersion(3.0, 25)) == pytest.approx(stats.f.sf(ratio / 3.0, 2, 25))


def test_a_spread_that_the_baseline_had_too_is_no_change():
    rng = np.random.default_rng(1)
    wide, wider = nights((-0.1, 0, 0.1), rng), nights((-0.11, 0, 0.11), rng)
    expected = Dispersion(1.0, 100)
    assert spread_test(nights((0, 0, 0), rng), wider, expected) < 1e-6
    assert spread_test(wide, wider, expected) > 0.1


def test_seeds_without_a_difference_have_no_spread():
    rows = np.ones((3, 100))
    assert spread_test(rows, rows, Dispersion(1.0, 20)) == 1.0
    assert spread_test(rows[:1], rows[:1], Dispersion(1.0, 20)) == 1.0


def test_normal_effects_give_uniform_p_values():
    """Five seeds; the variance between trainings is as expected."""
    rng = np.random.default_rng(2)
    p = [
        spread_test(np.ones((5, 1000)), nights(rng.normal(0, 0.0224, 5), rng), Dispersion(3.0, 1e6)) for _ in range(400)
    ]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.05)


def test_the_detectable_spread_is_found_nine_times_of_ten():
    rng = np.random.default_rng(3)
    factor = detectable_spread(5, Dispersion(3.0, 30), 0.001, 0.9)
    ratios = factor**2 * rng.chisquare(4, 20_000) / 4 / (rng.chisquare(30, 20_000) / 30)
    assert np.mean(stats.f.sf(ratios, 4, 30) <= 0.001) == pytest.approx(0.9, abs=0.01)

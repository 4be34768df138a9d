import numpy as np
import pytest
from scipy import stats

from fgbench.statistics.moderated_variance import moderate


def test_prior_is_recovered_from_simulated_variances():
    rng = np.random.default_rng(0)
    prior, center, freedom = 8.0, 2.0, 5
    true = center * prior / rng.chisquare(prior, 20000)
    moderated = moderate(true * rng.chisquare(freedom, 20000) / freedom, freedom)
    assert moderated.freedom - freedom == pytest.approx(prior, rel=0.1)
    s2 = moderated.variances
    t = rng.normal(size=20000) * np.sqrt(true) / np.sqrt(s2)
    assert (2 * stats.t.sf(np.abs(t), moderated.freedom) < 0.01).mean() == pytest.approx(0.01, abs=0.0025)


def test_equal_variances_are_pooled_and_a_single_variance_is_unchanged():
    rng = np.random.default_rng(1)
    moderated = moderate(3.0 * rng.chisquare(6, 5000) / 6, 6)
    assert moderated.freedom > 100
    assert np.allclose(moderated.variances, 3.0, rtol=0.1)
    assert moderate(np.array([2.0]), 4).variances.tolist() == [2.0]

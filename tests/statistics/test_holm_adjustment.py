import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from fgbench.statistics import holm


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_statsmodels(seed):
    rng = np.random.default_rng(seed)
    p = np.concatenate([rng.random(6), rng.random(4) / 100, [0.01, 0.01, 1.0]])
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))
    assert holm([]) == []
    assert holm([0.03]) == [0.03]


def test_holm_controls_the_family_wise_error_rate():
    rng = np.random.default_rng(8)
    rejected = [min(holm(np.concatenate([rng.random(8), [1e-9, 1e-8]]))[:8]) < 0.05 for _ in range(3000)]
    assert 0.035 < np.mean(rejected) < 0.062
    plain = [min(rng.random(8)) < 0.05 for _ in range(3000)]
    assert np.mean(plain) > 0.3

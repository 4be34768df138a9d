import numpy as np
import pytest
from scipy import stats

from fgbench.statistics.detectable_loss import detectable_count, detectable_loss
from fgbench.statistics.overdispersion import Dispersion, decrease_test


@pytest.mark.parametrize(("differing", "level"), [(0, 0.001), (10, 0.001), (60, 0.00004)])
def test_the_detectable_count_is_the_smallest_that_is_found_nine_times_of_ten(differing, level):
    def found(count):
        worse = np.arange(differing + 1)
        p = stats.binom.sf(worse + count - 1, differing + count, 0.5)
        return stats.binom.pmf(worse, differing, 0.5)[p <= level].sum()

    count = detectable_count(differing, level, 0.9)
    assert found(count) >= 0.9
    assert found(count - 1) < 0.9


def test_the_detectable_loss_is_found_nine_times_of_ten():
    rng = np.random.default_rng(0)
    chances, dispersion, hits = rng.beta(0.5, 0.2, 2000), Dispersion(1.0, 40), []
    for _ in range(200):
        base, head = rng.random((2, 3, 2000)) < chances
        loss = detectable_loss(base, head, dispersion, 0.001, 0.9)
        for row in head:
            row[rng.choice(np.flatnonzero(row), round(2000 * loss), replace=False)] = False
        hits.append(decrease_test(base, head, dispersion)[0] <= 0.001)
    assert 0.85 <= np.mean(hits) <= 0.99


def test_a_loss_that_no_test_finds_is_everything():
    base = np.ones((1, 3))
    assert detectable_loss(base, base, Dispersion(2.0, 20), 1e-6, 0.9) == 1.0

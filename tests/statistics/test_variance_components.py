import numpy as np
import pytest
from scipy import stats

from fgbench.statistics.variance_components import SMALLEST_P, half_width, one_sided_p


def test_one_component_is_a_t_test():
    values = np.array([0.3, 0.1, 0.25, 0.4])
    component = [(values.var(ddof=1) / 4, 3)]
    for bound in (0.0, 0.2, 0.2625, 0.5):
        reference = stats.ttest_1samp(values, bound, alternative="greater")
        assert one_sided_p(values.mean() - bound, component) == pytest.approx(reference.pvalue)
    low = stats.ttest_1samp(values, 0).confidence_interval(0.9).low
    assert values.mean() - half_width(component, 0.05) == pytest.approx(low)
    assert one_sided_p(0.1, [*component, (0.0, 5)]) == one_sided_p(0.1, component)


def test_known_components_give_a_normal_test():
    components = [(0.09, np.inf), (0.16, np.inf)]
    assert half_width(components, 0.05) == pytest.approx(0.5 * stats.norm.isf(0.05))
    assert one_sided_p(0.8, components) == pytest.approx(stats.norm.sf(1.6))


def test_interval_at_the_p_value_ends_at_the_bound():
    components = [(0.04, 2), (0.01, 400), (0.02, 1)]
    for distance in (0.01, 0.3, 1.0, 20.0):
        p = one_sided_p(distance, components)
        assert half_width(components, p) == pytest.approx(distance, rel=1e-6)
        assert one_sided_p(-distance, components) == pytest.approx(1 - p)
    assert one_sided_p(0.0, components) == 0.5
    assert one_sided_p(1e80, components) == SMALLEST_P


def test_without_variance_the_position_decides():
    assert [one_sided_p(x, [(0.0, 3)]) for x in (-1, 0, 1)] == [1, 1, 0]
    assert half_width([(0.0, 3)], 0.05) == 0


def error_rate(variances, freedoms, test, times=6000):
    """Return how often a test rejects a true mean of 0 at 5 % with estimated variances."""
    rng, rejected = np.random.default_rng(0), 0
    for _ in range(times):
        estimates = [v if f == np.inf else v * rng.chisquare(f) / f for v, f in zip(variances, freedoms, strict=True)]
        rejected += test(rng.normal(0, sum(variances) ** 0.5), estimates, freedoms)
    return rejected / times


def banerjee(mean, estimates, freedoms):
    return mean > half_width(list(zip(estimates, freedoms, strict=True)), 0.05)


def welch(mean, estimates, freedoms):
    freedom = sum(estimates) ** 2 / sum(v**2 / f for v, f in zip(estimates, freedoms, strict=True))
    return mean > stats.t.isf(0.05, freedom) * sum(estimates) ** 0.5


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("freedoms", [(1, np.inf), (2, 1), (3, 500)], ids=str)
def test_error_rate_is_at_most_the_level(share, freedoms):
    assert error_rate((1.0, share), freedoms, banerjee, 3000) < 0.062


def test_welch_exceeds_the_level():
    """The error rate of Welch's test is too high for two seeds and a small sampling error."""
    assert error_rate((1.0, 0.05), (1, np.inf), welch) > 0.07

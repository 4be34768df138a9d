import numpy as np
import pytest

from fgbench.statistics.outliers import LEVEL, find_outliers, unseen_share


def test_generalized_esd_of_published_data():
    """Rosner 1983, 54 values with three outliers, as in the NIST handbook, section 1.3.5.17.3."""
    x = [
        -0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49, 1.55, 1.56, 1.58, 1.65, 1.69, 1.70,
        1.76, 1.77, 1.81, 1.91, 1.94, 1.96, 1.99, 2.06, 2.09, 2.10, 2.14, 2.15, 2.23, 2.24, 2.26, 2.35, 2.37, 2.40,
        2.47, 2.54, 2.62, 2.64, 2.90, 2.92, 2.92, 2.93, 3.21, 3.26, 3.30, 3.59, 3.68, 4.30, 4.64, 5.34, 5.42, 6.01,
    ]  # fmt: skip
    assert [x[k] for k in find_outliers(x, level=0.05, max_share=10 / 54)] == [5.34, 5.42, 6.01]


@pytest.mark.parametrize(("seeds", "failed"), [(5, 1), (5, 2), (10, 1), (10, 3), (30, 5)])
def test_failed_trainings_are_found_and_do_not_hide_each_other(seeds, failed):
    rng = np.random.default_rng(seeds)
    for _ in range(20):
        values = rng.normal(84, 0.05, seeds)
        values[:failed] -= 10 + rng.normal(0, 0.05, failed)
        assert set(find_outliers(values.tolist())) >= set(range(failed))


def test_few_normal_values_are_called_outliers():
    rng = np.random.default_rng(0)
    wrong = [bool(find_outliers(rng.normal(84, 0.3, 30).tolist())) for _ in range(1000)]
    assert np.mean(wrong) < 3 * LEVEL


def test_equal_values_and_two_values_have_no_outlier():
    assert find_outliers([84.0] * 5) == []
    assert find_outliers([84.0, 70.0]) == []


def test_unseen_share_is_the_exact_limit():
    for n in (3, 10, 30):
        assert (1 - unseen_share(n)) ** n == pytest.approx(0.05)

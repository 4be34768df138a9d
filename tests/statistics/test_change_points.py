import numpy as np
import pytest

from fgbench.statistics import change_points
from fgbench.statistics.change_points import find_level_shifts


def test_simulated_shifts_are_found():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, 1, 20), rng.normal(4, 1, 20), rng.normal(8, 1, 20)])
    shifts = find_level_shifts(x)
    assert len(shifts) == 2
    assert abs(shifts[0].at - 20) <= 1
    assert abs(shifts[1].at - 40) <= 1
    assert shifts[0].before == pytest.approx(x[: shifts[0].at].mean())
    assert shifts[0].after == pytest.approx(x[shifts[0].at : shifts[1].at].mean())


def test_noise_and_one_outlier_are_not_a_shift():
    rng = np.random.default_rng(3)
    assert sum(bool(find_level_shifts(rng.normal(size=30), seed=k)) for k in range(60)) <= 1
    x = rng.normal(0, 0.1, 30)
    x[12] = 50
    assert find_level_shifts(x) == []
    assert find_level_shifts(np.ones(30)) == []
    assert find_level_shifts(np.array([])) == []


def test_a_drift_is_a_series_of_shifts():
    assert len(find_level_shifts(np.sin(np.arange(60) / 10))) >= 2


def test_few_orders_show_that_there_is_no_shift(monkeypatch):
    """The decisions are those of all orders, and a series without a shift needs less than a tenth of them."""
    rng = np.random.default_rng(4)
    series = [rng.normal(size=30) + 0.1 * k * (np.arange(30) > 14) for k in range(30)]
    found = [bool(find_level_shifts(x)) for x in series]
    monkeypatch.setattr(change_points, "BLOCK", change_points.ORDERS)
    assert found == [bool(find_level_shifts(x)) for x in series]
    assert 5 < sum(found) < 25
    monkeypatch.undo()
    rows = []
    scores = change_points._scores
    monkeypatch.setattr(change_points, "_scores", lambda orders: rows.append(len(orders)) or scores(orders))
    assert find_level_shifts(rng.normal(size=30)) == []
    assert sum(rows) < change_points.ORDERS / 10

import numpy as np
import pytest

from fgbench.statistics import shift_limits
from fgbench.statistics.shift_limits import BASELINE, LAG, MEMORY, MIN_BASELINE, RECENT, limit_shifts

FLOOR = 0.05


def limited(values, excluded=None, found=None, floor=FLOOR):
    none = np.zeros(values.shape, dtype=bool)
    return limit_shifts(values, none if excluded is None else excluded, none if found is None else found, floor)


def noise(rows=6, nights=150, spread=0.01, seed=0):
    return spread * np.random.default_rng(seed).normal(size=(rows, nights))


def naive_shift(values, excluded, at):
    """Return the shift of one series at a value, or NaN."""
    known = [k for k in range(at + 1) if np.isfinite(values[k])]
    recent, window = known[-RECENT:], [k for k in range(at - RECENT - BASELINE + 1, at - RECENT + 1) if k in known]
    before = [values[k] for k in window if not excluded[k]]
    if len(before) < MIN_BASELINE or len(recent) < RECENT:
        return np.nan
    return np.median(values[recent]) - np.median(before)


@pytest.mark.parametrize("nights", [1, 8, 11, 12, 30, 90, MEMORY + BASELINE + 20])
def test_shifts_are_those_of_a_naive_loop(nights):
    values, rng = noise(3, nights), np.random.default_rng(1)
    values[1, : nights // 2] = np.nan
    excluded = rng.random(values.shape) < 0.2
    result = limited(values, excluded)
    expected = [naive_shift(values[k], excluded[k], nights - 1) for k in range(3)]
    np.testing.assert_allclose(result.shifts, expected)
    assert (np.isnan(result.limits) == np.isnan(expected)).all()


def naive_limit(values, k, floor):
    """Return the limit of series k without exclusions, by loops."""
    rows, nights = values.shape
    none = np.zeros(nights, dtype=bool)
    past = range(max(0, nights - 1 - MEMORY), nights - 1)
    shifts = np.array([[naive_shift(row, none, at) for at in past] for row in values])
    singles = np.array([[row[at] - (np.median(row[at - RECENT + 1 : at + 1]) - naive_shift(row, none, at))
                         if at >= RECENT - 1 else np.nan for at in past] for row in values])  # fmt: skip
    older = singles[:, :-LAG]
    scales = np.nanmedian(np.abs(older - np.nanmedian(older, axis=1, keepdims=True)), axis=1)
    scales = np.maximum(scales, np.median(scales))
    sizes = np.abs(shifts) / scales[:, None]
    others = sorted(np.nanmax(sizes[other]) for other in range(rows) if other != k)
    margin = shift_limits.MARGIN + shift_limits.EARLY_MARGIN / min(nights - 1, MEMORY)
    return max(floor, margin * max(others[-2], np.nanmax(sizes[k, :-LAG])) * scales[k])


def test_limits_are_those_of_a_naive_loop():
    values = noise(5, 110, 0.02) * np.array([[1], [1], [1], [2], [5]])
    result = limited(values, floor=0.0)
    assert result.limits == pytest.approx([naive_limit(values, k, 0.0) for k in range(5)])


def test_a_limit_is_at_least_the_floor():
    assert (limited(noise(spread=1e-4)).limits == FLOOR).all()
    assert (limited(np.zeros((3, 80))).limits == FLOOR).all()


def test_a_real_change_in_one_series_does_not_raise_the_limits_of_others():
    values = noise()
    before = limited(values).limits
    values[2, 60:75] += 1.0
    after = limited(values).limits
    others = np.arange(6) != 2
    assert after[others] == pytest.approx(before[others], rel=0.5)
    assert after[2] > 1.0


def test_the_latest_shifts_of_a_series_do_not_raise_its_own_limit():
    values = noise()
    values[2, -20:] += 0.1
    result = limited(values)
    assert result.shifts[2] > 0.08 > result.limits[2]


def test_a_shift_that_was_found_does_not_raise_limits():
    values, found = noise(), np.zeros((6, 150), dtype=bool)
    values[2, 60:75] += 1.0
    found[2, 60:85] = True
    assert limited(values, found=found).limits[2] < 0.3


def test_a_single_series_has_limits_from_its_own_past():
    values = noise(1)
    values[0, 50:60] += 0.2
    assert limited(values).limits[0] > 0.2


def test_p_is_the_rank_among_earlier_moments():
    values = noise(nights=100)
    values[2, -RECENT:] += 1.0
    moments = 100 - 1 - (RECENT + MIN_BASELINE - 1)
    result = limited(values)
    assert result.p[2] == pytest.approx(1 / (1 + moments), rel=0.2)
    assert (np.delete(result.p, 2) > result.p[2]).all()


def test_the_detectable_shift_is_above_the_limit():
    result = limited(noise(spread=0.03))
    assert (result.detectable > result.limits + 0.01).all()

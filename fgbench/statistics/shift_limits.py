"""Shifts of the recent level of series, with limits that come from the earlier shifts of the same series."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

RECENT = 7
"""Number of recent values. Their median shifts if more than half of them shift."""
BASELINE = 60
"""Number of values before the recent ones, with which they are compared."""
MIN_BASELINE = 5
"""Least number of values before the recent ones for a shift."""
MEMORY = 200
"""Number of earlier shifts from which the limits come."""
LAG = 40
"""Number of latest shifts of a series that do not raise its own limit: they may be the start of a real change."""
MIN_OLDER = 10
"""Least number of values before the last `LAG` ones for a scale that leaves these out."""
MARGIN, EARLY_MARGIN = 1.2, 20.0
"""A limit is `MARGIN + EARLY_MARGIN / n` times the largest earlier shift, with n earlier values."""
POWER = 0.9
"""Probability with which a shift of the size `detectable` is found."""


@dataclass(frozen=True, slots=True)
class ShiftLimits:
    """The shifts of several series at their latest value, with limits; NaN for a series with too few values."""

    shifts: np.ndarray
    """(G,) median of the recent values minus the median of the baseline."""
    latest: np.ndarray
    """(G,) latest value minus the median of the baseline."""
    limits: np.ndarray
    """(G,) a larger shift is a finding."""
    p: np.ndarray
    """(G,) share of the moments, this one included, in which any series had a shift of this size or more."""
    detectable: np.ndarray
    """(G,) smallest shift of all recent values that is found with the probability `POWER`."""


def limit_shifts(values: np.ndarray, excluded: np.ndarray, found: np.ndarray, floor: float) -> ShiftLimits:
    """Compare the recent level of series with their baselines, and this shift with the earlier shifts.

    The statistic is the median of the last `RECENT` values minus the median of the `BASELINE` values before them. It is
    also computed for every earlier value. Its scale in a series is the median absolute deviation of single values from
    their baselines, but at least that of the median series. The limit is the second largest shift that the other series
    had, or the largest one that the series itself had up to `LAG` values ago, each in units of its scale, times a
    margin.

    A threshold from the past of the series needs no model of the noise: heavy tails, drift and autocorrelation count as
    far as the past has them (change points of performance tests: Matteson and James, J. Am. Stat. Assoc. 109:334-345,
    2014, and Daly et al., ICPE 2020). The maximum over all series adjusts for their number (Westfall and Young,
    Resampling-Based Multiple Testing, 1993). The second largest is used because one series may have a real change.

    Args:
        values: (G, N) series with the latest value last; NaN before the first value of a shorter series.
        excluded: (G, N) True for values that are left out of baselines.
        found: (G, N) True where a shift was found; it does not raise limits.
        floor: smallest limit.

    Example:
        >>> values = 0.02 * np.random.default_rng(0).normal(size=(8, 100))
        >>> values[3, -7:] += 0.1
        >>> none = np.zeros(values.shape, dtype=bool)
        >>> result = limit_shifts(values, none, none, floor=0.05)
        >>> np.flatnonzero(result.shifts > result.limits).tolist()
        [3]
    """
    levels, singles = _shifts(values, excluded)
    known = np.isfinite(levels[:, -1])
    # Earlier shifts in units of the scale of their series; 0 where there is none.
    counts = np.isfinite(values).sum(axis=1) - 1
    scales = _scales(singles[:, :-1])
    past = np.where(found[:, -levels.shape[1] :], np.nan, levels)[:, :-1]
    sizes = np.nan_to_num(np.abs(past) / scales[:, None])
    largest = sizes.max(axis=1, initial=0.0)
    own = sizes[:, :-LAG].max(axis=1, initial=0.0)
    others = np.array([_second_largest(np.delete(largest, k), alone=largest[k]) for k in range(len(values))])
    margins = MARGIN + EARLY_MARGIN / np.clip(counts, 1, MEMORY)
    limits = np.maximum(floor, margins * np.maximum(own, others) * scales)
    # The rank of this shift among the largest shifts of the earlier moments.
    per_moment = sizes.max(axis=0, initial=0.0)[np.isfinite(past).any(axis=0)]
    now = np.abs(levels[:, -1]) / scales
    p = (1 + (per_moment >= now[:, None]).sum(axis=1)) / (1 + len(per_moment))
    # A shift is found if it is so far above the limit that noise seldom hides it. The past has few independent shifts
    # from which to estimate the noise, so half the probability of a miss is used.
    signed = (past / scales[:, None])[np.isfinite(past)]
    usual = float(np.quantile(np.concatenate([signed, -signed]), (1 - POWER) / 2)) if len(signed) else np.nan
    detectable = limits - usual * scales
    return ShiftLimits(
        *(np.where(known, each, np.nan) for each in (levels[:, -1], singles[:, -1], limits, p, detectable))
    )


def _shifts(values: np.ndarray, excluded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shifts of the recent median and of the single value at the last `MEMORY` + 1 values, (G, M) each."""
    padding = ((0, 0), (BASELINE + RECENT - 1, 0))
    kept = np.pad(np.where(excluded, np.nan, values), padding, constant_values=np.nan)
    padded = np.pad(values, padding, constant_values=np.nan)
    moments = slice(-MEMORY - 1, None)
    baselines = _median(sliding_window_view(kept[:, :-RECENT], BASELINE, axis=1)[:, moments], MIN_BASELINE)
    recents = _median(sliding_window_view(padded[:, BASELINE:], RECENT, axis=1)[:, moments], RECENT)
    return recents - baselines, values[:, moments] - baselines


def _median(windows: np.ndarray, least: int) -> np.ndarray:
    """Return the medians of the last axis without NaN; NaN if fewer than `least` values are left."""
    ordered = np.sort(windows, axis=-1)  # NaN comes last
    counts = np.isfinite(windows).sum(axis=-1)[..., None]
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0), axis=-1) for at in ((counts - 1) // 2, counts // 2))
    return np.asarray(np.where(counts >= least, (low + high) / 2, np.nan)[..., 0])


def _scales(singles: np.ndarray) -> np.ndarray:
    """Return the scale of each series: its median absolute deviation, at least that of the median series."""
    older = np.isfinite(singles[:, :-LAG]).sum(axis=1) >= MIN_OLDER
    scales = np.array([_deviation(one[:-LAG] if lagged else one) for one, lagged in zip(singles, older, strict=True)])
    typical = _finite_median(scales)
    return np.asarray(np.maximum(np.nan_to_num(np.maximum(scales, typical), nan=typical), 1e-9))


def _deviation(values: np.ndarray) -> float:
    return _finite_median(np.abs(values - _finite_median(values)))


def _finite_median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan


def _second_largest(others: np.ndarray, alone: float) -> float:
    """Return the second largest value, or the only one; `alone` if there is none."""
    return float(np.sort(others)[-2:][0]) if len(others) else alone

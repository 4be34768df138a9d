"""The statistical test behind a verdict: measured values against a printed value and its margin."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fgbench.papers.printed import Cell
from fgbench.statistics import (
    POWER,
    Equivalence,
    Interval,
    Spread,
    power,
    seeds_to_decide,
    spread_that_decides,
    standard_error,
    tost,
)

Position = Literal["inside", "above", "below", "open"]
"""Position of the mean relative to the margin; `open` if the test does not decide."""
SEED_PLANS = (3, 5)
"""Numbers of seeds that the text proposes if there is only one seed."""
UNLIMITED_SEEDS = 1_000_000
"""Stands for an unlimited number of seeds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of the test of a cell."""

    position: Position
    reason: str
    """One sentence with the mean, the interval, the margin, the seeds, and the number of seeds that would decide."""
    p: float | None = None
    """p-value of equivalence; None for a single seed of a run that uses random numbers."""
    interval: Interval | None = None
    """90 % interval of the mean over seeds: the interval of the two one-sided tests at 5 %."""
    seeds_needed: int | None = None
    """Number of seeds that would decide an open test; None if no number would, or if there is only one seed."""
    other_images: str = ""
    """What holds for other test images of the same kind, in one sentence."""


def decide(
    cell: Cell, values: list[float], *, deterministic: bool, n: int, sampling: Interval | None = None
) -> Decision:
    """Test measured values against a cell.

    The printed value was measured on the same test images. Their sampling error is in both numbers and cancels in the
    difference, so that only the spread over seeds remains. The printed value counts as exact: the margin allows for its
    error, except if it is a mean over random splits that its authors drew.

    Args:
        cell: the printed number.
        values: one value for each seed, in the unit of the cell.
        deterministic: True if the run uses no random numbers, so that one run is enough.
        n: number of test samples of a run.
        sampling: 95 % interval of one run for another test set of n samples.
    """
    mean = float(np.mean(values))
    measured = (
        f"{mean:.2f} {cell.unit}, {mean - cell.value:+.2f} {points(cell.unit)} from the printed {cell.value:g} "
        f"(margin {cell.margin:g})"
    )
    # One seed shows no spread over seeds.
    if not deterministic and len(values) < 2:
        reason = f"{measured}; {_one_seed(cell, mean)}"
        return Decision("open", reason, other_images=_other_images(cell, mean, None, n, sampling))
    # Two one-sided tests. A value moves in steps of one test sample.
    step = 100 / n if cell.unit == "%" else 0.0
    spread = Spread(0.0, 1) if deterministic else Spread.of(values, step=step, target_runs=cell.draws)
    test = tost(mean, spread, cell.value, cell.margin)
    position, ends, needed = _position(test), Interval(test.low, test.high), None
    interval = f"the 90 % interval over {len(values)} seeds, {ends.low:.2f} to {ends.high:.2f},"
    if deterministic:
        reason = f"{measured}; {position} the margin, and one run decides because it uses no random numbers"
    elif position == "open":
        needed = seeds_to_decide(spread, mean - cell.value, cell.margin)
        reason = f"{measured}; {interval} does not decide (TOST p = {test.p:.2g}); {_more_seeds(cell, spread, needed)}"
    else:
        p = {"inside": test.p, "above": 1 - test.p_high, "below": 1 - test.p_low}[position]
        name = "TOST p" if position == "inside" else "p"
        reason = f"{measured}; {interval} is {position} the margin ({name} = {p:.2g})"
    return Decision(position, reason, test.p, ends, needed, _other_images(cell, mean, spread, n, sampling))


def points(unit: str) -> str:
    """Return the unit of a difference of two values: `points` for percent."""
    return "points" if unit == "%" else unit


def _position(test: Equivalence) -> Position:
    if test.inside:
        return "inside"
    return "above" if test.above else "below" if test.below else "open"


def _one_seed(cell: Cell, mean: float) -> str:
    """Return a sentence for one seed: how small the spread over a few seeds must be to decide."""
    position = "inside" if abs(mean - cell.value) < cell.margin else "outside"
    deviations = [spread_that_decides(mean - cell.value, cell.margin, seeds, cell.draws) for seeds in SEED_PLANS]
    plans = " or ".join(
        f"{seeds} seeds if it is below {deviation:.2f}" for seeds, deviation in zip(SEED_PLANS, deviations, strict=True)
    )
    return (
        f"{position} the margin, but one seed does not show the standard deviation over seeds: {plans} "
        f"{points(cell.unit)} would decide"
    )


def _more_seeds(cell: Cell, spread: Spread, needed: int | None) -> str:
    """Return a sentence: how many seeds would decide, or why no number of seeds would."""
    if needed is not None:
        return (
            f"about {needed} seeds would decide with a probability of {POWER:.0%}, "
            "if the mean and the spread stay the same"
        )
    if power(replace(spread, seeds=UNLIMITED_SEEDS), 0.0, cell.margin) < POWER:
        return (
            f"no number of seeds would decide, because the printed number is a mean over {cell.draws} other random "
            f"splits with a standard error of {spread.sd / cell.draws**0.5:.2f} {points(cell.unit)}"
        )
    return "1000 seeds would not decide, because the mean is too close to the edge of the margin"


def _other_images(cell: Cell, mean: float, spread: Spread | None, n: int, sampling: Interval | None) -> str:
    """Return a sentence on the same question for other test images, where the sampling error does not cancel."""
    if cell.draws:
        return "each seed has its own random split, so that the spread over seeds includes that over test images"
    if sampling is None:
        return ""
    error, difference = standard_error(sampling), mean - cell.value
    start = f"sampling error {error:.2f} {points(cell.unit)} with {n:,} images, which more seeds do not reduce: "
    # With the sampling error alone, as if the spread over seeds were zero.
    alone = Spread(0.0, 1, sampling=error)
    if power(alone, 0.0, cell.margin) < POWER and abs(difference) < cell.margin:
        return f"{start}no number of seeds decides, because the test set is too small for this margin"
    if spread is None:
        return f"{start}one seed does not decide"
    # With the sampling error and the spread over seeds.
    whole = replace(spread, sampling=error)
    test = tost(mean, whole, cell.value, cell.margin)
    position = _position(test)
    if position != "open":
        return f"{start}the mean is {position} the margin for other images, too"
    needed = seeds_to_decide(whole, difference, cell.margin) if spread.sd else None
    if needed is None:
        return f"{start}no number of seeds decides, because the mean is too close to the edge of the margin"
    return f"{start}about {needed} seeds would decide"

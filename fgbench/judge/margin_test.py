"""The test behind a verdict: measured values against a printed one and its margin, told with its numbers."""

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
"""Where the mean is shown to lie as to the margin; `open` where nothing is shown."""
PLANS = (3, 5)
"""Numbers of seeds that are spoken of where there is only one."""
MANY = 1_000_000
"""Seeds that stand for all there could be."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the seeds say of a printed number, and what they would have to be to say more."""

    position: Position
    reason: str
    """One sentence with the estimate, the interval, the margin, the seeds, and what would decide."""
    p: float | None = None
    """p-value of equivalence; None for one seed of several that would differ."""
    interval: Interval | None = None
    """90 % interval of the mean over seeds, which the two one-sided tests look at."""
    seeds_needed: int | None = None
    """Seeds that would decide, where these do not; None where none would, or where one seed cannot tell."""
    other_images: str = ""
    """What can be said of other test images of this kind, in a sentence."""


def decide(
    cell: Cell, values: list[float], *, deterministic: bool, n: int, sampling: Interval | None = None
) -> Decision:
    """Weigh measured values against a cell.

    The printed value was measured on the same test images, so their sampling error is in both numbers and cancels in
    the difference: what is left is the spread from seed to seed. The printed value is taken as it stands; what it may
    itself be off by is what the margin is for, except where it is the mean over divisions that its authors drew.

    Args:
        cell: the printed number.
        values: one a seed, in the cell's unit.
        deterministic: no random number enters, so that one run says all.
        n: test samples of a run.
        sampling: 95 % interval of one run for another test set of n.
    """
    mean = float(np.mean(values))
    off = (
        f"{mean:.2f} {cell.unit}, {mean - cell.value:+.2f} {points(cell.unit)} from the printed {cell.value:g} "
        f"with its margin of {cell.margin:g}"
    )
    if not deterministic and len(values) < 2:
        return Decision("open", f"{off}; {_one(cell, mean)}", other_images=_beyond(cell, mean, None, n, sampling))
    step = 100 / n if cell.unit == "%" else 0.0
    spread = Spread(0.0, 1) if deterministic else Spread.of(values, step=step, target_runs=cell.draws)
    test = tost(mean, spread, cell.value, cell.margin)
    place, ends, needed = _place(test), Interval(test.low, test.high), None
    seeds = f"the 90 % interval over {len(values)} seeds, {ends.low:.2f} to {ends.high:.2f},"
    if deterministic:
        reason = f"{off}; {place} the margin, as no random number enters and one run decides"
    elif place == "open":
        needed = seeds_to_decide(spread, mean - cell.value, cell.margin)
        reason = f"{off}; {seeds} does not decide (TOST p = {test.p:.2g}); {_would(cell, spread, needed)}"
    else:
        p = {"inside": test.p, "above": 1 - test.p_high, "below": 1 - test.p_low}[place]
        name = "TOST p" if place == "inside" else "p"
        reason = f"{off}; {seeds} is {place} the margin ({name} = {p:.2g})"
    return Decision(place, reason, test.p, ends, needed, _beyond(cell, mean, spread, n, sampling))


def points(unit: str) -> str:
    """A unit of differences: percents differ by points."""
    return "points" if unit == "%" else unit


def _place(test: Equivalence) -> Position:
    if test.inside:
        return "inside"
    return "above" if test.above else "below" if test.below else "open"


def _one(cell: Cell, mean: float) -> str:
    """What one seed lets be said: from how narrow a spread on a few more like it would decide."""
    where = "inside" if abs(mean - cell.value) < cell.margin else "beyond"
    widths = [spread_that_decides(mean - cell.value, cell.margin, seeds, cell.draws) for seeds in PLANS]
    plans = " or ".join(f"{seeds} seeds if it is under {width:.2f}" for seeds, width in zip(PLANS, widths, strict=True))
    return (
        f"{where} the margin, but one seed cannot tell the spread from seed to seed: {plans} "
        f"{points(cell.unit)} would decide"
    )


def _would(cell: Cell, spread: Spread, needed: int | None) -> str:
    """How many seeds would decide, or why none."""
    if needed is not None:
        return f"about {needed} seeds would, four times of five, if the mean and the spread stay as they are"
    if power(replace(spread, seeds=MANY), 0.0, cell.margin) < POWER:
        return (
            f"no number of seeds would: the printed number is a mean over {cell.draws} divisions of its own, and "
            f"itself uncertain by {spread.sd / cell.draws**0.5:.2f} {points(cell.unit)}"
        )
    return "not even 1000 seeds would: the mean lies too close to the edge of the margin"


def _beyond(cell: Cell, mean: float, spread: Spread | None, n: int, sampling: Interval | None) -> str:
    """The same question for other test images, where the sampling error does not cancel."""
    if cell.draws:
        return "each seed has a division of its own, so that the spread over seeds is one over test images, too"
    if sampling is None:
        return ""
    error, difference = standard_error(sampling), mean - cell.value
    told = f"sampling error {error:.2f} {points(cell.unit)} with {n:,} images, which more seeds do not shrink: "
    alone = Spread(0.0, 1, sampling=error)
    if power(alone, 0.0, cell.margin) < POWER and abs(difference) < cell.margin:
        return f"{told}no number of seeds can tell, the test set is too small for this margin"
    if spread is None:
        return f"{told}one seed cannot tell"
    whole = replace(spread, sampling=error)
    test = tost(mean, whole, cell.value, cell.margin)
    place = _place(test)
    if place != "open":
        return f"{told}{place} the margin there, too"
    needed = seeds_to_decide(whole, difference, cell.margin) if spread.sd else None
    if needed is None:
        return f"{told}no number of seeds can tell, the mean lies too close to the edge of the margin"
    return f"{told}about {needed} seeds would tell"

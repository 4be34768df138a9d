"""The statistical test behind a verdict: measured values against a printed value and its margin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fgbench.papers.printed import Cell
from fgbench.statistics import (
    ALPHA,
    LEVEL,
    MIN_SEEDS,
    POWER,
    Equivalence,
    Interval,
    Spread,
    power,
    seeds_to_decide,
    spread_of_splits,
    spread_that_decides,
    standard_error,
    tost,
)
from fgbench.statistics.outliers import unseen_share

Position = Literal["inside", "above", "below", "open"]
"""Position of the mean relative to the margin; `open` if the test does not decide."""
SEED_PLANS = (5, 10)
"""Numbers of seeds that the text proposes if there are too few seeds for a test."""
UNLIMITED_SEEDS = 1_000_000
"""Stands for an unlimited number of seeds."""
BEST_OF = 3
"""Number of trainings of which the printed value may be the best one."""
BEST_SHIFT = 1.5 / np.pi**0.5
"""Mean of the largest of three standard normal values (Godwin, Ann. Math. Stat. 20:279-285, 1949)."""
BEST_VARIANCE = 1 + 3**0.5 / (2 * np.pi) - BEST_SHIFT**2
"""Variance of the largest of three standard normal values (Godwin 1949)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of the test of a cell."""

    position: Position
    reason: str
    """One sentence with the mean, the interval, the margin, the seeds, and the number of seeds that would decide."""
    p: float | None = None
    """p-value of the result, on the scale of 5 %, adjusted for a look after every seed. For an open result, the
    smallest of the three tests. None for too few seeds, and for a run that uses no random numbers."""
    difference: Interval | None = None
    """99 % interval of the difference between the mean over seeds and the printed value: the interval of the tests."""
    seeds_needed: int | None = None
    """Number of seeds that would decide an open test; None if no number would, or if there are too few seeds."""
    other_images: str = ""
    """What holds for other test images of the same kind, in one sentence."""
    best_of: str = ""
    """What holds if the printed value is the best of several trainings, in one sentence."""


def decide(
    cell: Cell,
    values: Sequence[float],
    *,
    deterministic: bool,
    n: int,
    sampling: Interval | None = None,
    splits: Sequence[str] = (),
    most_splits: int | None = None,
    data_bound: float = 0.0,
) -> Decision:
    """Test measured values against a cell.

    The printed value was measured on the same test images. Their sampling error is in both numbers and cancels in the
    difference. What remains is the spread over seeds of the measured mean, the spread of the printed value itself,
    which is one run of its authors (or the mean of `cell.draws` runs), and its rounding.

    Args:
        cell: the printed number.
        values: one value for each seed, in the unit of the cell.
        deterministic: True if the run uses no random numbers, so that one run is enough.
        n: number of test samples of a run.
        sampling: 95 % interval of one run for another test set of n samples.
        splits: name of the split of each seed, if the data set has several.
        most_splits: number of splits of the data set; None if it has one. More seeds use the same splits again.
        data_bound: largest effect of the deviation of the data on the value, in the unit of the cell.
    """
    unit, slack = points(cell.unit), cell.rounding + data_bound
    groups = by_split(values, splits)
    mean = float(np.mean([np.mean(group) for group in groups]))
    measured = (
        f"{mean:.2f} {cell.unit}, {mean - cell.value:+.2f} {unit} from the printed {cell.value:g} "
        f"(margin {cell.margin:g})"
    )
    # Too few seeds do not show the spread over seeds.
    if not deterministic and len(groups) < MIN_SEEDS:
        reason = f"{measured}; {_too_few(cell, mean, groups, slack)}"
        return Decision("open", reason, other_images=_other_images(cell, mean, None, n, sampling, slack))
    spread, test = seed_test(cell, groups, n=n, slack=slack) if not deterministic else one_run_test(cell, mean, slack)
    position = position_of(test)
    other_images = _other_images(cell, mean, spread, n, sampling, slack)
    if deterministic:
        return Decision(position, f"{measured}; {_one_run(position, cell, data_bound)}", other_images=other_images)
    ends = Interval(test.low, test.high)
    kind = "splits" if len(groups) < len(values) else "seeds"
    interval = (
        f"the {100 - 200 * LEVEL:g} % interval of the difference over {len(groups)} {kind}, {_ends(ends)} {unit},"
    )
    p = min(1.0, min(test.p_inside, test.p_above, test.p_below) * ALPHA / LEVEL)
    if position == "open":
        needed = seeds_to_decide(spread, mean - cell.value, cell.margin, slack=slack)
        advice = _more_seeds(cell, mean, spread, needed, data_bound)
        if needed is not None and most_splits is not None and needed > most_splits:
            needed = None
            advice = f"no number of seeds would decide, because the data set has {most_splits} splits"
        reason = f"{measured}; {interval} does not decide (p = {p:.2g}); {advice}"
    else:
        needed = None
        unseen = (
            f"; {len(values)} runs do not exclude that up to {100 * unseen_share(len(values)):.0f} % of trainings fail"
        )
        reason = (
            f"{measured}; {interval} is {position} the margin (p = {p:.2g}){unseen if position == 'inside' else ''}"
        )
    best_of = "" if cell.draws else _best_of(cell, mean, spread, slack, position)
    return Decision(position, reason, p, ends, needed, other_images, best_of)


def seed_test(
    cell: Cell, groups: Sequence[Sequence[float]], *, n: int, slack: float = 0.0
) -> tuple[Spread, Equivalence]:
    """Return the spread over seeds and the tests of a cell.

    Args:
        cell: the printed number.
        groups: result of `by_split`.
        n: number of test samples of a run. A value in percent moves in steps of one sample.
        slack: as in `tost`.
    """
    step = 100 / n if cell.unit == "%" else 0.0
    mean, spread = spread_of_splits(groups, step=step, target_runs=max(1, cell.draws))
    return spread, tost(mean, spread, cell.value, cell.margin, slack=slack)


def one_run_test(cell: Cell, value: float, slack: float) -> tuple[Spread, Equivalence]:
    """Return the comparison of a run that uses no random numbers with a cell, as `seed_test` returns it."""
    spread = Spread(0.0, 1, 0)
    return spread, tost(value, spread, cell.value, cell.margin, slack=slack)


def points(unit: str) -> str:
    """Return the unit of a difference of two values: `points` for percent."""
    return "points" if unit == "%" else unit


def by_split(values: Sequence[float], splits: Sequence[str] = ()) -> list[list[float]]:
    """Return the values of each split; without splits, each value alone."""
    if not any(splits):
        return [[value] for value in values]
    return [
        [value for value, name in zip(values, splits, strict=True) if name == split] for split in dict.fromkeys(splits)
    ]


def position_of(test: Equivalence) -> Position:
    """Return the result of the tests."""
    if test.inside:
        return "inside"
    return "above" if test.above else "below" if test.below else "open"


def _ends(ends: Interval) -> str:
    return f"{ends.low:+.2f} to {ends.high:+.2f}"


def _one_run(position: Position, cell: Cell, data_bound: float) -> str:
    """Return a sentence for a run that uses no random numbers."""
    if position != "open":
        return f"{position} the margin, and one run decides because it uses no random numbers"
    return f"no run decides, because {_errors(cell, data_bound)}"


def _errors(
    cell: Cell, data_bound: float, effect: str = "can move the difference across the edge of the margin"
) -> str:
    """Return a clause on the effect of errors that are no random errors."""
    errors = f"rounding of the printed value (up to {cell.rounding:g})"
    if data_bound:
        errors += f" and the changed data (up to {data_bound:.2f})"
    return f"{errors} {effect}"


def _too_few(cell: Cell, mean: float, groups: Sequence[Sequence[float]], slack: float) -> str:
    """Return a sentence for too few seeds: how small the spread over some more seeds must be to decide."""
    position = "inside" if abs(mean - cell.value) < cell.margin else "outside"
    deviations = [
        spread_that_decides(mean - cell.value, cell.margin, seeds, max(1, cell.draws), slack=slack)
        for seeds in SEED_PLANS
    ]
    few = _few(groups)
    if not any(deviations):
        return f"{position} the margin, but {few} not show the standard deviation over seeds"
    plans = " or ".join(
        f"{seeds} seeds if it is below {deviation:.2f}" for seeds, deviation in zip(SEED_PLANS, deviations, strict=True)
    )
    return (
        f"{position} the margin, but {few} not show the standard deviation over seeds: {plans} {points(cell.unit)} "
        "would decide"
    )


def _few(groups: Sequence[Sequence[float]]) -> str:
    """Return the number of seeds or splits, with its verb."""
    kind = "split" if any(len(group) > 1 for group in groups) else "seed"
    return f"one {kind} does" if len(groups) == 1 else f"{len(groups)} {kind}s do"


def _more_seeds(cell: Cell, mean: float, spread: Spread, needed: int | None, data_bound: float) -> str:
    """Return a sentence: how many seeds would decide, or why no number of seeds would."""
    if needed is not None:
        return (
            f"about {needed} seeds would decide with a probability of {100 * POWER:g} %, "
            "if the mean and the spread stay the same"
        )
    slack = cell.rounding + data_bound
    if abs(abs(mean - cell.value) - cell.margin) <= slack:
        return f"no number of seeds would decide, because {_errors(cell, data_bound)}"
    unlimited = replace(spread, seeds=UNLIMITED_SEEDS)
    if power(unlimited, 0.0, cell.margin) >= POWER > power(unlimited, 0.0, cell.margin, slack=slack):
        return f"no number of seeds would decide, because {_errors(cell, data_bound, 'leave too little of the margin')}"
    runs = f"a mean over {cell.draws} other random splits" if cell.draws else "one training"
    if power(unlimited, 0.0, cell.margin, slack=slack) < POWER:
        return (
            f"no number of seeds would decide, because the printed number is {runs} with a standard error of "
            f"{spread.sd / max(1, cell.draws) ** 0.5:.2f} {points(cell.unit)}"
        )
    return "1000 seeds would not decide, because the mean is too close to the edge of the margin"


def _best_of(cell: Cell, mean: float, spread: Spread, slack: float, position: Position) -> str:
    """Return a sentence: the result if the printed value is the best of three trainings, not an ordinary one.

    The mean of the authors' trainings is then lower than the printed value by `BEST_SHIFT` standard deviations. The
    standard deviation counts as known.
    """
    shift = BEST_SHIFT * spread.sd
    best = replace(spread, target_runs=0, repeated=(spread.sd**2 * BEST_VARIANCE, spread.seeds - 1))
    other = position_of(tost(mean, best, cell.value - shift, cell.margin, slack=slack))
    outcome = "the result is the same" if other == position else f"the mean is {_words(other)}"
    return (
        f"if the printed value is the best of {BEST_OF} trainings, their mean is about {shift:.2f} {points(cell.unit)} "
        f"lower, and {outcome}"
    )


def _words(position: Position) -> str:
    return "not decided" if position == "open" else f"{position} the margin"


def _other_images(
    cell: Cell, mean: float, spread: Spread | None, n: int, sampling: Interval | None, slack: float
) -> str:
    """Return a sentence on the same question for other test images, where the sampling error does not cancel."""
    if cell.draws:
        return "each seed has its own random split, so that the spread over seeds includes that over test images"
    if sampling is None:
        return ""
    error, difference = standard_error(sampling), mean - cell.value
    start = f"sampling error {error:.2f} {points(cell.unit)} with {n:,} images, which more seeds do not reduce: "
    # With the sampling error alone, as if the spread over seeds were zero.
    alone = Spread(0.0, 1, 0, sampling=error)
    if power(alone, 0.0, cell.margin) < POWER and abs(difference) < cell.margin:
        return f"{start}no number of seeds decides, because the test set is too small for this margin"
    if spread is None:
        return f"{start}too few seeds to decide"
    # With the sampling error and the spread over seeds.
    whole = replace(spread, sampling=error)
    position = position_of(tost(mean, whole, cell.value, cell.margin, slack=slack))
    if position != "open":
        return f"{start}the mean is {position} the margin for other images, too"
    needed = seeds_to_decide(whole, difference, cell.margin, slack=slack) if spread.sd else None
    if needed is None:
        return f"{start}no number of seeds decides, because the mean is too close to the edge of the margin"
    return f"{start}about {needed} seeds would decide"

"""Comparison of two runs on the same test images, with the sampling error of the images and the spread over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log2

import numpy as np

from fgbench.judge.anomaly import ReadOutputs
from fgbench.judge.recomputed import depends_on_seed
from fgbench.metrics.per_sample import sample_values
from fgbench.records.record import Record
from fgbench.statistics import ALPHA, LEVEL, MIN_SEEDS, PairedDifference, compare_crossed, compare_resampled
from fgbench.util.errors import FgbenchError


class ClaimState(StrEnum):
    """The outcome of the test of a claim."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"
    NOT_RUN = "not run"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class RunPair:
    """Comparison of two runs: two neighbours of a claimed order, the one claimed to be better first."""

    better: str
    """Title of the first run."""
    worse: str
    """Title of the second run."""
    difference: PairedDifference
    """Value of `better` minus value of `worse`, in percent."""
    p: float
    """Two-sided p-value of no difference, adjusted for a look after every seed if the runs use random numbers.
    `check_claims` adjusts it by Holm for all pairs of all claims."""
    seeds: tuple[int, int]
    """Number of seeds, or of random splits, of each run that the test uses."""
    too_few: tuple[str, ...] = ()
    """Recipes of the runs that use random numbers and have fewer than MIN_SEEDS seeds; with one, nothing is decided."""

    @property
    def state(self) -> ClaimState:
        """The outcome of this pair alone."""
        if self.too_few or self.p >= ALPHA:
            return ClaimState.UNDECIDED
        return ClaimState.HOLDS if self.difference.value > 0 else ClaimState.CONTRADICTED

    def __str__(self) -> str:
        low, high = self.difference.interval
        difference = f"{self.better} minus {self.worse}: {self.difference.value:+.2f} points"
        if self.too_few:
            return (
                f"{difference} ({self.seeds[0]} and {self.seeds[1]} seeds; a test needs at least {MIN_SEEDS} seeds of "
                f"{' and '.join(self.too_few)})"
            )
        return (
            f"{difference} (95 % interval {low:.2f} to {high:.2f}, adjusted p = {self.p:.2g}, "
            f"{self.difference.n:,} samples, {self.seeds[0]} and {self.seeds[1]} seeds; {self.difference.test})"
        )


def compare_runs(a: Sequence[Record], b: Sequence[Record], name: str, outputs: ReadOutputs) -> RunPair:
    """Return the comparison of two groups of records, each of which differs only in its seed, in percent.

    Args:
        a: the group that is expected to be better.
        b: the other group.
        name: of the value.
        outputs: returns the per-sample arrays of a record.

    Raises:
        FgbenchError: the groups share no test images, or their arrays cannot be read or lack the value.
    """
    titles = a[0].title, b[0].title
    first, second = ([sample_values(outputs(record), name) for record in side] for side in (a, b))
    # The rows of both sides, grouped by their test images.
    by_images: dict[bytes, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for index, side in enumerate((first, second)):
        for images, values in side:
            by_images.setdefault(images.tobytes(), ([], []))[index].append(values)
    both = [(np.stack(x), np.stack(y)) for x, y in by_images.values() if x and y]
    if not both:
        raise FgbenchError(f"{titles[0]} and {titles[1]} were not measured on the same images")
    # One test set: images and seeds are crossed. Several: random splits of one data set. Other runs are not used.
    seeded = [depends_on_seed(side[0]) for side in (a, b)]
    if len(both) == 1:
        used = len(both[0][0]), len(both[0][1])
        fixed = not any(random and rows == 1 for random, rows in zip(seeded, used, strict=True))
        difference = compare_crossed(*both[0], fixed=fixed)
    else:
        used = len(both), len(both)
        ratio = a[0].protocol["test_images"] / a[0].protocol["train_images"]
        per_split = np.array([x.mean() - y.mean() for x, y in both])
        difference = compare_resampled(per_split, ratio, sum(x.shape[1] for x, _ in both))
    difference = difference.times(100)
    counts = [rows for random, rows in zip(seeded, used, strict=True) if random]
    too_few = tuple(
        side[0].recipe.partition("@")[0]
        for side, random, rows in zip((a, b), seeded, used, strict=True)
        if random and rows < MIN_SEEDS
    )
    p = p_over_looks(difference.p, min(counts)) if counts else difference.p
    return RunPair(*titles, difference, p, used, too_few)


def p_over_looks(p: float, seeds: int) -> float:
    """Return a two-sided p-value, adjusted for a look after every seed from the third on.

    The two means of a claim become ever more exact, so that a constant level would be crossed in the end (law of the
    iterated logarithm). The factor therefore grows with the number of doublings of the seeds; looks within a doubling
    are nearly the same look. `python -m tests.simulate claims` measures the error rate.

    Args:
        p: of one look.
        seeds: number of seeds of the side with fewer seeds.

    Example:
        >>> [round(p_over_looks(0.001, seeds), 3) for seeds in (3, 6, 12)]
        [0.005, 0.01, 0.015]
    """
    return min(1.0, p * ALPHA / (2 * LEVEL) * (1 + log2(max(seeds, MIN_SEEDS) / MIN_SEEDS)))

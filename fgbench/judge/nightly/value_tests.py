"""Values of runs that may be held against each other: paired tests on the same images."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from fgbench.judge.nightly.run_matching import run_label
from fgbench.metrics.per_sample import Arrays, Samples, sample_values
from fgbench.records.record import Record
from fgbench.statistics import holm
from fgbench.statistics.overdispersion import decrease_test, estimate_dispersion
from fgbench.util.errors import FgbenchError

LUCK = {"quick": 2.5}
"""Variance between trainings expected under a profile, over that of a coin an image: as seeds of the quick profile have
shown it (1.3 to 4.2 by recipe)."""
ELSEWHERE = 1.25
"""Under the others: a tenth of a point or two between trainings at the size of CUB's test set."""


@dataclass(frozen=True, slots=True)
class ValuePair:
    """A run of both nights, with its arrays."""

    base: Record
    head: Record
    before: Arrays
    after: Arrays


@dataclass(frozen=True, slots=True)
class ValueTest:
    """A value of runs that differ in their seed alone, in both nights."""

    where: str
    base: float
    """Mean over seeds."""
    head: float
    unit: str
    down: float
    """p-value against "not worse", adjusted for all values."""
    up: float
    """p-value against "not better", likewise."""
    test: str
    moved: str


@dataclass(frozen=True, slots=True)
class _Rows:
    """What each image contributes to a value."""

    name: str
    old: np.ndarray
    """(S, N), a row a seed."""
    new: np.ndarray
    """(S, N)."""


def compare_values(groups: Sequence[Sequence[ValuePair]]) -> list[ValueTest]:
    """Every value that is a mean over images, tested; of the others there is nothing that could be.

    The chance of a false alarm is shared out among the runs, then among the values of each by Holm, so that a run of
    one value does not pay for one that has a hundred.

    Args:
        groups: the seeds of each run.
    """
    runs = [(pairs, values) for pairs in groups if (values := list(_rows(pairs)))]
    by_profile = defaultdict(list)
    for pairs, values in runs:
        by_profile[pairs[0].base.profile].append([rows.old for rows in values])
    lucks = {profile: estimate_dispersion(old, LUCK.get(profile, ELSEWHERE)) for profile, old in by_profile.items()}
    found = []
    for pairs, values in runs:
        luck = lucks[pairs[0].base.profile]
        down = [decrease_test(rows.old, rows.new, luck) for rows in values]
        up = [decrease_test(rows.new, rows.old, luck)[0] for rows in values]
        adjusted = zip(holm([p for p, _ in down]), holm(up), strict=True)
        for rows, (_, test), (p, q) in zip(values, down, adjusted, strict=True):
            found.append(_told(pairs, rows, test, min(1.0, len(runs) * p), min(1.0, len(runs) * q)))
    return found


def _told(pairs: Sequence[ValuePair], rows: _Rows, test: str, down: float, up: float) -> ValueTest:
    lost, won = ((a > b).any(axis=0).sum() for a, b in ((rows.old, rows.new), (rows.new, rows.old)))
    before = float(np.mean([pair.base.values[rows.name].value for pair in pairs]))
    after = float(np.mean([pair.head.values[rows.name].value for pair in pairs]))
    moved = f"{lost} images lower and {won} higher of {rows.old.shape[1]}"
    where, unit = f"{run_label(*(pair.base for pair in pairs))}: {rows.name}", pairs[0].base.values[rows.name].unit
    return ValueTest(where, before, after, unit, down, up, test, moved)


def _rows(pairs: Sequence[ValuePair]) -> Iterator[_Rows]:
    for name in pairs[0].base.values:
        if not all(_has(pair, name) for pair in pairs):
            continue
        try:
            sides = [(sample_values(pair.before, name), sample_values(pair.after, name)) for pair in pairs]
        except FgbenchError:
            continue
        old, new = _aligned(sides)
        if old.size:
            yield _Rows(name, old, new)


def _has(pair: ValuePair, name: str) -> bool:
    return all(name in record.values and isfinite(record.values[name].value) for record in (pair.base, pair.head))


def _aligned(sides: Sequence[tuple[Samples, Samples]]) -> tuple[np.ndarray, np.ndarray]:
    """(S, N) of either night: the samples that every run has, since a query without a match may be left out."""
    kept = set.intersection(*(set(names.tolist()) for side in sides for names, _ in side))

    def rows(night: int) -> np.ndarray:
        chosen = [[name in kept for name in side[night][0].tolist()] for side in sides]
        return np.stack([side[night][1][chosen[k]] for k, side in enumerate(sides)])

    return rows(0), rows(1)

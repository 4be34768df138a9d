"""Paired tests of the values of runs in two nights, on the same images."""

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
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError

DISPERSION = {"quick": 2.5}
"""Expected variance between trainings by profile, as a multiple of the binomial variance; the recipes of the quick
profile show 1.3 to 4.2."""
DEFAULT_DISPERSION = 1.25
"""The same for other profiles: 0.1 to 0.2 points between trainings at the size of the test set of CUB-200-2011."""


@dataclass(frozen=True, slots=True)
class ValuePair:
    """A run in both nights with its per-sample arrays."""

    base: Record
    """Record of the baseline."""
    head: Record
    """Record of the judged night."""
    before: Arrays
    """Arrays of `base`."""
    after: Arrays
    """Arrays of `head`."""


@dataclass(frozen=True, slots=True)
class ValueTest:
    """The test of one value of a run, over all its seeds."""

    where: str
    """The run and the name of the value."""
    base: float
    """Mean over seeds in the baseline."""
    head: float
    """Mean over seeds in the judged night."""
    unit: str
    """Unit of the value."""
    down: float
    """One-sided p-value for a decrease, adjusted for all values."""
    up: float
    """One-sided p-value for an increase, adjusted for all values."""
    test: str
    """Name of the test."""
    moved: str
    """Number of images that changed, as text."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The contribution of each image to a value."""

    name: str
    """Name of the value."""
    old: np.ndarray
    """(S, N), one row for each seed, in the baseline."""
    new: np.ndarray
    """(S, N) in the judged night."""


def compare_values(groups: Sequence[Sequence[ValuePair]]) -> list[ValueTest]:
    """Return the tests of all values that are means over images; other values cannot be tested.

    The p-values are adjusted by Bonferroni for the number of runs and by Holm for the values of each run, so that a run
    with many values does not weaken the tests of the other runs.

    Args:
        groups: the seeds of each run.
    """
    runs = [(pairs, values) for pairs in groups if (values := list(_rows(pairs)))]
    by_profile = defaultdict(list)
    for pairs, values in runs:
        by_profile[pairs[0].base.profile].append([rows.old for rows in values])
    dispersions = {
        profile: estimate_dispersion(old, DISPERSION.get(profile, DEFAULT_DISPERSION))
        for profile, old in by_profile.items()
    }
    tests = []
    for pairs, values in runs:
        dispersion = dispersions[pairs[0].base.profile]
        down = [decrease_test(rows.old, rows.new, dispersion) for rows in values]
        up = [decrease_test(rows.new, rows.old, dispersion)[0] for rows in values]
        adjusted = zip(holm([p for p, _ in down]), holm(up), strict=True)
        for rows, (_, test), (p, q) in zip(values, down, adjusted, strict=True):
            tests.append(_value_test(pairs, rows, test, min(1.0, len(runs) * p), min(1.0, len(runs) * q)))
    return tests


def _value_test(pairs: Sequence[ValuePair], rows: _Rows, test: str, down: float, up: float) -> ValueTest:
    lower, higher = ((a > b).any(axis=0).sum() for a, b in ((rows.old, rows.new), (rows.new, rows.old)))
    before = float(np.mean([pair.base.values[rows.name].value for pair in pairs]))
    after = float(np.mean([pair.head.values[rows.name].value for pair in pairs]))
    moved = f"{counted(int(lower), 'image')} lower and {higher} higher of {rows.old.shape[1]}"
    where, unit = f"{run_label(*(pair.base for pair in pairs))}: {rows.name}", pairs[0].base.values[rows.name].unit
    return ValueTest(where, before, after, unit, down, up, test, moved)


def _rows(pairs: Sequence[ValuePair]) -> Iterator[_Rows]:
    """Yield the rows of each value that all seeds have in both nights and that is a mean over images."""
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
    """Return (S, N) of both nights for the samples in all runs, since a query without a match can be left out."""
    kept = set.intersection(*(set(names.tolist()) for side in sides for names, _ in side))

    def rows(night: int) -> np.ndarray:
        chosen = [[name in kept for name in side[night][0].tolist()] for side in sides]
        return np.stack([side[night][1][chosen[k]] for k, side in enumerate(sides)])

    return rows(0), rows(1)

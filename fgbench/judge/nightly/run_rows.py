"""The contribution of each test image to the values of a run, in two nights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from fgbench.judge.nightly.run_matching import small_network_hashes
from fgbench.judge.recomputed import depends_on_seed
from fgbench.metrics.per_sample import Arrays, Samples, sample_values
from fgbench.records.record import Record
from fgbench.util.errors import FgbenchError


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
class ValueRows:
    """The contribution of each image to a value."""

    name: str
    """Name of the value."""
    old: np.ndarray
    """(S, N), one row for each seed, in the baseline."""
    new: np.ndarray
    """(S, N) in the judged night."""


@dataclass(frozen=True, slots=True)
class RunRows:
    """The values of a run that are means over images, over all its seeds."""

    label: str
    """Name of the run."""
    pairs: tuple[ValuePair, ...]
    """The seeds of the run."""
    values: tuple[ValueRows, ...]
    """The values that all seeds have in both nights."""
    trained: bool
    """True if the run trains or draws random numbers, so that another training may give other values."""

    @property
    def profile(self) -> str:
        """Profile of the run."""
        return self.pairs[0].base.profile

    @property
    def differs(self) -> bool:
        """True if an image differs between the nights."""
        return any((rows.old != rows.new).any() for rows in self.values)


def read_rows(label: str, pairs: Sequence[ValuePair]) -> RunRows:
    """Return the values of a run that are means over images; other values cannot be tested.

    Args:
        label: name of the run.
        pairs: the seeds of the run.
    """
    trained = any(depends_on_seed(record) for pair in pairs for record in (pair.base, pair.head))
    retrained = any(small_network_hashes(pair.base) != small_network_hashes(pair.head) for pair in pairs)
    return RunRows(label, tuple(pairs), tuple(_rows(pairs)), trained or retrained)


def count_differing(runs: Sequence[RunRows]) -> int:
    """Return the number of runs among which p-values are adjusted: those that differ between the nights; at least 1.

    A run that is equal in both nights cannot raise an alarm.
    """
    return max(1, sum(run.differs for run in runs))


def _rows(pairs: Sequence[ValuePair]) -> Iterator[ValueRows]:
    for name in pairs[0].base.values:
        if not all(_has(pair, name) for pair in pairs):
            continue
        try:
            sides = [(sample_values(pair.before, name), sample_values(pair.after, name)) for pair in pairs]
        except FgbenchError:
            continue
        old, new = _aligned(sides)
        if old.size:
            yield ValueRows(name, old, new)


def _has(pair: ValuePair, name: str) -> bool:
    return all(name in record.values and isfinite(record.values[name].value) for record in (pair.base, pair.head))


def _aligned(sides: Sequence[tuple[Samples, Samples]]) -> tuple[np.ndarray, np.ndarray]:
    """Return (S, N) of both nights for the samples in all runs, since a query without a match can be left out."""
    kept = set.intersection(*(set(names.tolist()) for side in sides for names, _ in side))

    def rows(night: int) -> np.ndarray:
        chosen = [[name in kept for name in side[night][0].tolist()] for side in sides]
        return np.stack([side[night][1][chosen[k]] for k, side in enumerate(sides)])

    return rows(0), rows(1)

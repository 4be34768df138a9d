"""A race: a hot path of fgbench and its peers, timed alternately in one process.

On a shared machine, times from different moments are not comparable. Therefore each round times every entrant once,
each after a fixed reference workload. A ratio of times is the median over rounds of the ratio within a round.
"""

import gc
import hashlib
import inspect
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

from fgbench.util.numeric.matmul import product

FGBENCH = "fgbench"
ROUND_S = 0.05
"""Shortest round in seconds; shorter work is repeated to fill it."""
NIGHTLY_ROUNDS = 9
"""Number of rounds in a session of a night."""
Work = Callable[[], Any]
"""The timed function; it takes no arguments and returns its result."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Lower bound for any implementation of a path."""

    flop: float = 0.0
    """Floating-point operations; a multiply-add is two operations."""
    moved_bytes: float = 0.0
    """Bytes read and written once."""
    counts: str = ""
    """Operations and bytes that are counted."""

    def seconds(self, threads: int) -> float:
        """Return the time for the operations or for the bytes, the longer one, at the measured rates of the machine."""
        flop_per_s, bytes_per_s = machine_rates(threads)
        return max(self.flop / flop_per_s, self.moved_bytes / bytes_per_s)


@dataclass
class Race:
    """The entrants of one hot path."""

    title: str
    """The path and its size; also the group of the rows."""
    entrants: Mapping[str, Callable[[], Work]]
    """Functions by name that prepare an entrant and return its work. A function skips if its peer is not installed. One
    name is FGBENCH."""
    at_least: Mapping[str, float] = field(default_factory=dict)
    """Required ratio of the time of a peer to that of fgbench, by peer."""
    at_most_s: float | None = None
    """Longest allowed time of fgbench in seconds."""
    agree: Callable[[Any, Any], object] = lambda result, peer_result: None
    """Asserts that the results of fgbench and of a peer are equal."""
    floor: Floor | None = None
    rounds: int = 9
    """Number of rounds."""
    peer_rounds: Mapping[str, int] = field(default_factory=dict)
    """Smaller number of rounds, by peer."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """For a slow peer, the share of the work that it does; its times are divided by the share."""
    threads: int = 1
    warm: bool = True
    """Whether every entrant runs once before it is timed."""
    outcome: "Outcome | None" = None

    def __post_init__(self) -> None:
        self.version = hashlib.sha256(Path(inspect.stack()[2].filename).read_bytes()).hexdigest()[:12]

    @property
    def names(self) -> list[str]:
        """Return the names of the entrants, fgbench first."""
        return sorted(self.entrants, key=lambda name: name != FGBENCH)

    def alone(self) -> None:
        """Remove the peers and the floor; nights compare only times of fgbench."""
        self.entrants, self.floor = {FGBENCH: self.entrants[FGBENCH]}, None
        self.rounds = NIGHTLY_ROUNDS

    def run(self) -> "Outcome":
        """Time all entrants; later calls return the same outcome."""
        if self.outcome is None:
            with threadpool_limits(self.threads):
                previous = torch.get_num_threads()
                torch.set_num_threads(self.threads)
                try:
                    self.outcome = self._run()
                finally:
                    torch.set_num_threads(previous)
        return self.outcome

    def _run(self) -> "Outcome":
        # Prepare the entrants.
        works, absent = {}, {}
        for name in self.names:
            try:
                works[name] = self.entrants[name]()
            except pytest.skip.Exception as reason:
                absent[name] = str(reason)
        # Warm up, and find how many calls fill a round.
        results, calls = {}, dict.fromkeys(works, 1)
        for name, work in works.items() if self.warm else ():
            call_s, results[name] = timed(work)
            call_s = min(call_s, timed(work)[0]) if call_s < ROUND_S else call_s
            calls[name] = max(1, round(ROUND_S / call_s))
        # Time all entrants in each round.
        outcome = Outcome(absent, {name: [] for name in works}, {name: [] for name in works}, results)
        for number in range(self.rounds):
            for name, work in works.items():
                if name == FGBENCH or number < self.peer_rounds.get(name, self.rounds):
                    outcome.references[name].append(timed(reference)[0])
                    call_s, result = timed(work, calls[name])
                    outcome.samples[name].append(call_s / self.parts.get(name, 1.0))
                    results.setdefault(name, result)
        for name in works:
            if name != FGBENCH:
                self.agree(results[FGBENCH], results[name])
        return outcome


@dataclass
class Outcome:
    """Times and results of a race."""

    absent: dict[str, str]
    """Reason why an entrant is missing, by name."""
    samples: dict[str, list[float]]
    """Seconds of a call in each round, by entrant."""
    references: dict[str, list[float]]
    """Seconds of the reference workload before each round, by entrant."""
    results: dict[str, Any]
    """First result of each entrant."""

    def median_s(self, name: str) -> float:
        """Return the median seconds of an entrant."""
        return statistics.median(self.samples[name])

    def ratio(self, peer: str) -> float:
        """Return the median ratio of the time of a peer to that of fgbench."""
        return statistics.median(
            peer_s / own_s for own_s, peer_s in zip(self.samples[FGBENCH], self.samples[peer], strict=False)
        )

    def relative(self, name: str) -> float:
        """Return the median time of an entrant as a multiple of the time of the reference workload."""
        return statistics.median(self.relatives(name))

    def relatives(self, name: str) -> list[float]:
        """Return the time of an entrant in each round as a multiple of the time of the reference workload."""
        return [sample / reference for sample, reference in zip(self.samples[name], self.references[name], strict=True)]


def timed(work: Work, calls: int = 1) -> tuple[float, Any]:
    """Return the mean seconds of several calls, and the last result."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(calls):
            result = work()
        return (time.perf_counter() - start) / calls, result
    finally:
        gc.enable()


@cache
def _operands() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(768, 768, generator=generator), torch.rand(1 << 22, generator=generator)


def reference() -> None:
    """Run the reference workload: a matrix product and a pass over memory, about 20 ms in one thread."""
    square, line = _operands()
    (square @ square).sum()
    line.clone().exp_()


@cache
def machine_rates(threads: int) -> tuple[float, float]:
    """Measure floating-point operations and bytes per second of this machine by a matrix product and a copy."""
    with threadpool_limits(threads):
        previous = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            square, line = torch.rand(2048, 2048), torch.rand(1 << 25)
            target = torch.empty_like(line)
            product_s = min(timed(lambda: product(square, square))[0] for _ in range(4))
            copy_s = min(timed(lambda: target.copy_(line))[0] for _ in range(4))
        finally:
            torch.set_num_threads(previous)
    return 2 * 2048**3 / product_s, 2 * line.numel() * 4 / copy_s

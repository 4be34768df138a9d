"""A hot path of fgbench and what one would pick instead, timed turn by turn in one process.

On a machine that others use, two times taken apart say little of each other. Here every round times each entrant once,
with a fixed reference workload beside it, and a ratio is the median over the rounds of the ratios within them.
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

OURS = "fgbench"
ROUND_S = 0.05
"""Shorter work is repeated until a round takes about as long."""
NIGHTLY_ROUNDS = 9
"""Of each of the sessions of a night."""
Work = Callable[[], Any]
"""What is timed: takes nothing, returns its result."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What no implementation of a path can do without."""

    flop: float = 0.0
    """Floating-point operations; a multiplication with its addition is two."""
    moved_bytes: float = 0.0
    """Bytes read and written, each once."""
    says: str = ""
    """What was counted."""

    def seconds(self, threads: int) -> float:
        """The longer of what the operations and the bytes take at the rates of this machine."""
        flops, rate = machine_rates(threads)
        return max(self.flop / flops, self.moved_bytes / rate)


@dataclass
class Race:
    """The entrants of one hot path."""

    title: str
    """The path and its size; the group of the rows."""
    entrants: Mapping[str, Callable[[], Work]]
    """By name, what prepares an entrant and returns its work; may skip where the peer is not installed. One is OURS."""
    at_least: Mapping[str, float] = field(default_factory=dict)
    """How many times as fast as a peer fgbench has to be."""
    at_most_s: float | None = None
    """Seconds that fgbench may take."""
    agree: Callable[[Any, Any], object] = lambda ours, theirs: None
    """Given the results of fgbench and a peer, asserts that they are the same thing."""
    floor: Floor | None = None
    rounds: int = 9
    """How often fgbench is timed."""
    peer_rounds: Mapping[str, int] = field(default_factory=dict)
    """How often a peer is timed where that is less often."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """For a peer too slow to be run whole: the share of the work that it does; its times are divided by it."""
    threads: int = 1
    warm: bool = True
    """Whether every entrant is run once before it is timed."""
    outcome: "Outcome | None" = None

    def __post_init__(self) -> None:
        self.version = hashlib.sha256(Path(inspect.stack()[2].filename).read_bytes()).hexdigest()[:12]

    @property
    def names(self) -> list[str]:
        """The entrants, fgbench first."""
        return sorted(self.entrants, key=lambda name: name != OURS)

    def alone(self) -> None:
        """Leave out the peers and the floor: what nights are compared by is fgbench's own time."""
        self.entrants, self.floor = {OURS: self.entrants[OURS]}, None
        self.rounds = NIGHTLY_ROUNDS

    def run(self) -> "Outcome":
        """Time everyone, once a session."""
        if self.outcome is None:
            with threadpool_limits(self.threads):
                before = torch.get_num_threads()
                torch.set_num_threads(self.threads)
                try:
                    self.outcome = self._run()
                finally:
                    torch.set_num_threads(before)
        return self.outcome

    def _run(self) -> "Outcome":
        works, absent = {}, {}
        for name in self.names:
            try:
                works[name] = self.entrants[name]()
            except pytest.skip.Exception as reason:
                absent[name] = str(reason)
        results, calls = {}, dict.fromkeys(works, 1)
        for name, work in works.items() if self.warm else ():
            taken, results[name] = timed(work)
            taken = min(taken, timed(work)[0]) if taken < ROUND_S else taken
            calls[name] = max(1, round(ROUND_S / taken))
        outcome = Outcome(absent, {name: [] for name in works}, {name: [] for name in works}, results)
        for number in range(self.rounds):
            for name, work in works.items():
                if name == OURS or number < self.peer_rounds.get(name, self.rounds):
                    outcome.references[name].append(timed(reference)[0])
                    taken, result = timed(work, calls[name])
                    outcome.samples[name].append(taken / self.parts.get(name, 1.0))
                    results.setdefault(name, result)
        for name in works:
            if name != OURS:
                self.agree(results[OURS], results[name])
        return outcome


@dataclass
class Outcome:
    """What a race came to."""

    absent: dict[str, str]
    """Why an entrant did not start."""
    samples: dict[str, list[float]]
    """Seconds of each round."""
    references: dict[str, list[float]]
    """Seconds of the reference workload just before."""
    results: dict[str, Any]
    """What each entrant gave the first time."""

    def median_s(self, name: str) -> float:
        """Seconds of an entrant."""
        return statistics.median(self.samples[name])

    def ratio(self, peer: str) -> float:
        """How many times as fast as `peer` fgbench is."""
        return statistics.median(
            theirs / ours for ours, theirs in zip(self.samples[OURS], self.samples[peer], strict=False)
        )

    def relative(self, name: str) -> float:
        """Time as a multiple of the reference workload's."""
        return statistics.median(self.relatives(name))

    def relatives(self, name: str) -> list[float]:
        """The same, round by round."""
        return [taken / reference for taken, reference in zip(self.samples[name], self.references[name], strict=True)]


def timed(work: Work, calls: int = 1) -> tuple[float, Any]:
    """Seconds of a call, the mean of several, and its result."""
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
    """A product of matrices and a pass over memory: about 20 ms of one thread."""
    square, line = _operands()
    (square @ square).sum()
    line.clone().exp_()


@cache
def machine_rates(threads: int) -> tuple[float, float]:
    """Floating-point operations and bytes a second that this machine reaches: matrix products, and copying."""
    with threadpool_limits(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            square, line = torch.rand(2048, 2048), torch.rand(1 << 25)
            into = torch.empty_like(line)
            taken = min(timed(lambda: product(square, square))[0] for _ in range(4))
            copy = min(timed(lambda: into.copy_(line))[0] for _ in range(4))
        finally:
            torch.set_num_threads(before)
    return 2 * 2048**3 / taken, 2 * line.numel() * 4 / copy

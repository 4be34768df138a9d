"""A race: a hot path of fgbench and its peers, timed alternately in one process.

On a shared machine, times from different moments are not comparable. Therefore each round times every entrant once,
each after a fixed reference workload. A ratio of times is the median over rounds of the ratio within a round.
"""

import gc
import hashlib
import inspect
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

from fgbench.speed.reference import reference, timed
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


@dataclass(frozen=True, slots=True)
class Requirement:
    """A number that is asked for, and the one that was reached."""

    what: str
    """`times as fast as PEER`, `seconds`, or the name of a value."""
    asked: float
    reached: float
    at_least: bool
    """True if the number must be at least the one that is asked for; False if it must be at most that."""

    @property
    def met(self) -> bool:
        """Whether the number is reached."""
        return self.reached >= self.asked if self.at_least else self.reached <= self.asked

    def __str__(self) -> str:
        return f"{self.what}: {self.reached:.4g}; asked: at {'least' if self.at_least else 'most'} {self.asked:.4g}"


def no_values(result: Any) -> Mapping[str, float]:
    """Return no values of a result."""
    return {}


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
    values: Callable[[Any], Mapping[str, float]] = no_values
    """Returns other measured values of fgbench from its result, by name with unit. Memory is measured by work that runs
    in a process of its own (`run_alone`)."""
    values_at_most: Mapping[str, float] = field(default_factory=dict)
    """Largest allowed values of fgbench, by name."""
    values_at_least: Mapping[str, float] = field(default_factory=dict)
    """Smallest allowed values of fgbench, by name."""
    seconds: Callable[[Any], float] | None = None
    """Returns the time of a call from its result, for work that times itself; None for the time of the call."""
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
        self.version = file_version(inspect.stack()[2].filename)

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
            with in_threads(self.threads), objects_frozen():
                self.outcome = self._run()
        return self.outcome

    def requirements(self) -> list[Requirement]:
        """Return what is asked of fgbench and what it reached, without peers that are not installed."""
        outcome = self.run()
        peers = {peer: least for peer, least in self.at_least.items() if peer in outcome.samples}
        asked = [
            Requirement(f"times as fast as {peer}", least, outcome.ratio(peer), True) for peer, least in peers.items()
        ]
        if self.at_most_s is not None:
            asked.append(Requirement("seconds", self.at_most_s, outcome.median_s(FGBENCH), False))
        values = self.values(outcome.results[FGBENCH])
        asked += [Requirement(name, most, values[name], False) for name, most in self.values_at_most.items()]
        asked += [Requirement(name, least, values[name], True) for name, least in self.values_at_least.items()]
        return asked

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
                    call_s = self.seconds(result) if self.seconds else call_s
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


def file_version(file: str) -> str:
    """Return a hash of a benchmark file; times are compared only between equal hashes."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]


@contextmanager
def in_threads(count: int) -> Iterator[None]:
    """Limit torch and the libraries of NumPy to a number of threads."""
    previous = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(previous)


@contextmanager
def objects_frozen() -> Iterator[None]:
    """Leave the objects of imported modules out of collections of garbage, which else take longer than a round."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def run_alone(*arguments: str) -> Any:
    """Run a program of Python in a process of its own, and return the JSON value in the last line that it prints."""
    completed = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, check=True)
    return json.loads(completed.stdout.splitlines()[-1])


@cache
def machine_rates(threads: int) -> tuple[float, float]:
    """Measure floating-point operations and bytes per second of this machine by a matrix product and a copy."""
    with in_threads(threads):
        square, line = torch.rand(2048, 2048), torch.rand(1 << 25)
        target = torch.empty_like(line)
        product_s = min(timed(lambda: product(square, square))[0] for _ in range(4))
        copy_s = min(timed(lambda: target.copy_(line))[0] for _ in range(4))
    return 2 * 2048**3 / product_s, 2 * line.numel() * 4 / copy_s

"""Times of simulated nights: how often an unchanged night fails, and how soon planted changes are found.

The noise of a night is shared by its sessions: more sessions do not average it away. It is drawn for each benchmark,
except where the conditions say otherwise. Each session adds Gaussian noise of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from simulate.rate import Rate, Study

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.history import Night, baseline_nights
from fgbench.judge.nightly.session_times import ALPHA, compare_sessions
from fgbench.judge.nightly.timing import MIN_NIGHTS, SpeedComparison, compare_speed
from fgbench.statistics.change_points import find_level_shifts

BENCHES, SESSIONS, SESSION_NOISE = 30, 6, 0.02
NEW, WARM = 100, 50
"""Nights of a history that starts with night 1, and judged nights after a history of `BEFORE` nights."""
BEFORE = 100
"""Nights before the judged ones, in a history that does not start with night 1, and before a planted change."""
WATCHED = 60
"""Nights in which a planted change may be found."""
STEP, CREEP = np.log(1.1), 0.005
CHANGED = 7
"""The benchmark with a planted change."""
Noise = Callable[[np.random.Generator, int], np.ndarray]
"""Returns the noise of log times, (benchmarks, nights)."""


def gaussian(spread: float) -> Noise:
    """Return independent noise with a standard deviation."""
    return lambda rng, nights: rng.normal(0, spread, (BENCHES, nights))


def student(freedom: int, scale: float) -> Noise:
    """Return independent noise with a t distribution."""
    return lambda rng, nights: scale * rng.standard_t(freedom, (BENCHES, nights))


def autoregressive(coefficient: float, spread: float) -> Noise:
    """Return stationary noise of an AR(1) process with a standard deviation."""

    def noise(rng: np.random.Generator, nights: int) -> np.ndarray:
        steps = rng.normal(0, spread, (BENCHES, nights))
        steps[:, 1:] *= (1 - coefficient**2) ** 0.5
        for night in range(1, nights):
            steps[:, night] += coefficient * steps[:, night - 1]
        return steps

    return noise


def drift(period: int, *, common: bool) -> Noise:
    """Return a sine of amplitude 4 % and Gaussian noise of 2 %; one phase for all benchmarks, or one for each."""

    def noise(rng: np.random.Generator, nights: int) -> np.ndarray:
        phase = rng.uniform(0, 2 * np.pi, (1 if common else BENCHES, 1))
        return 0.04 * np.sin(2 * np.pi * np.arange(nights) / period + phase) + rng.normal(0, 0.02, (BENCHES, nights))

    return noise


def one_differs(usual: Noise, other: Noise) -> Noise:
    """Return noise of which the first benchmark has another kind than the others."""
    return lambda rng, nights: np.vstack([other(rng, nights)[:1], usual(rng, nights)[1:]])


@dataclass(frozen=True)
class Case:
    """A kind of noise with what is promised for it."""

    name: str
    noise: Noise
    found: float | None = None
    """Promised share of steps of 10 % that are found."""


CASES = (
    Case("Gaussian, sd 3 %", gaussian(0.03), 0.9),
    Case("t3, scale 2 %", student(3, 0.02), 0.9),
    Case("t2, scale 2 %", student(2, 0.02), 0.9),
    Case("AR(1) 0.7, sd 2 %", autoregressive(0.7, 0.02), 0.9),
    Case("AR(1) 0.7, sd 3 %", autoregressive(0.7, 0.03)),
    Case("AR(1) 0.9, sd 2 %", autoregressive(0.9, 0.02), 0.8),
    Case("AR(1) 0.9, sd 3 %", autoregressive(0.9, 0.03)),
    Case("drift ±4 % in 30 nights, common, sd 2 %", drift(30, common=True)),
    Case("drift ±4 % in 90 nights, common, sd 2 %", drift(90, common=True)),
    Case("drift ±4 % in 90 nights, one phase a benchmark, sd 2 %", drift(90, common=False)),
    Case("drift ±4 % in 365 nights, one phase a benchmark, sd 2 %", drift(365, common=False), 0.9),
    Case(
        "AR(1) 0.9, sd 3 %, in one benchmark; Gaussian, sd 2 %", one_differs(gaussian(0.02), autoregressive(0.9, 0.03))
    ),
)


def timed(rng: np.random.Generator, logs: np.ndarray) -> tuple[BenchmarkTimes, ...]:
    """Return the benchmarks of a night from its noise, with the noise of sessions."""
    rows = logs[:, None] + rng.normal(0, SESSION_NOISE, (len(logs), SESSIONS))
    return tuple(
        BenchmarkTimes(name=f"b{k}", title=f"b{k}", version="v", machine="m", sessions=tuple(row))
        for k, row in enumerate(rows.tolist())
    )


def judged(rng: np.random.Generator, past: Sequence[Sequence[BenchmarkTimes]], logs: np.ndarray) -> SpeedComparison:
    """Return a night compared with earlier nights; benchmarks that look slower are measured again."""
    tonight = timed(rng, logs)
    result = compare_speed(past, tonight)
    slower = [k for k, bench in enumerate(result.judged) if bench.beyond_limit == "slower"]
    if not slower:
        return result
    again = timed(rng, logs)
    measured = [
        bench.model_copy(update={"again": again[k].sessions}) if k in slower else bench
        for k, bench in enumerate(tonight)
    ]
    return compare_speed(past, measured)


def worse(result: SpeedComparison) -> set[str]:
    """Return the names of the benchmarks with which a night fails."""
    return {finding.where for finding in result.findings if finding.fails}


def nights(rng: np.random.Generator, logs: np.ndarray, before: int) -> Iterator[set[str]]:
    """Yield what fails in each night after the first `before` ones, of which none is judged."""
    past = [_kept(timed(rng, logs[:, night]), set()) for night in range(before)]
    for night in range(before, logs.shape[1]):
        result = judged(rng, baseline_nights(past), logs[:, night])
        failed = worse(result)
        past.append(_kept(result.judged, failed))
        yield failed


def _kept(benches: tuple[BenchmarkTimes, ...], failed: set[str]) -> Night:
    """Return a line of the history."""
    return Night.model_construct(passed=not failed, accepted=False, benches=benches, failed=tuple(failed))


def null_rates(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return how often a night fails in which nothing changed."""
    rates = []
    for case in CASES:
        for before, length, name in ((0, NEW, "from night 1"), (BEFORE, WARM, f"after {BEFORE} nights")):
            hits, left = 0, trials
            while left > 0:
                count = min(length, left)
                hits += sum(map(bool, nights(rng, case.noise(rng, before + count), before)))
                left -= count
            rates.append(Rate("an unchanged night fails", f"{case.name}; {name}", hits, trials, limit=0.01))
    return rates


def planted_rates(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return how often a slower benchmark is found in the nights watched, and after how many nights."""
    steps = np.full(WATCHED, STEP)
    creep = CREEP * np.arange(1, WATCHED + 1)
    rates = []
    for case in CASES:
        for what, change, promised in (
            ("10 % slower, found", steps, case.found),
            ("0.5 % slower each night, found", creep, 0.9),
        ):
            delays = [_delay(rng, case.noise, change) for _ in range(trials)]
            hits = sum(delay <= WATCHED for delay in delays)
            median = float(np.median(delays))
            shown = median if median <= WATCHED else None
            rates.append(Rate(f"{what} in {WATCHED} nights", case.name, hits, trials, at_least=promised, nights=shown))
    return rates


def _delay(rng: np.random.Generator, noise: Noise, change: np.ndarray) -> float:
    """Return the number of nights until a planted change is found; infinity if it is not."""
    logs = noise(rng, BEFORE + len(change))
    logs[CHANGED, BEFORE:] += change
    for count, failed in enumerate(nights(rng, logs, BEFORE), start=1):
        if f"b{CHANGED}" in failed:
            return count
    return float("inf")


def detectable_rates(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return how often the change that a check calls detectable is found in the first seven nights that have it."""
    rates = []
    for case in CASES[:-1]:
        hits = 0
        for _ in range(trials):
            logs = case.noise(rng, BEFORE + 7)
            past = [timed(rng, logs[:, night]) for night in range(BEFORE)]
            check = next(c for c in compare_speed(past, timed(rng, logs[:, BEFORE])).checks if c.where == f"b{CHANGED}")
            logs[CHANGED, BEFORE:] += np.log1p(float(check.detectable.removesuffix(" %")) / 100)
            hits += any(f"b{CHANGED}" in failed for failed in nights(rng, logs, BEFORE))
        rates.append(Rate("the detectable change, found within 7 nights", case.name, hits, trials, at_least=0.75))
    return rates


def marked_rates(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return how often the history page marks a level shift in a series of 60 nights without one."""
    rates = []
    for case in CASES[:-1]:
        series = [case.noise(rng, 60)[0] for _ in range(trials)]
        hits = sum(bool(find_level_shifts(one)) for one in series)
        independent = case.name.startswith(("Gaussian", "t"))
        rates.append(Rate("a level shift is marked", case.name, hits, trials, limit=0.001 if independent else None))
    return rates


def folder_rates(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return how often `fgbench compare` calls a benchmark slower in two folders of the same code."""
    rates = []
    for case in (Case("none: the sessions of both folders alternate", gaussian(0.0)), *CASES[:3]):
        hits = 0
        for _ in range(trials):
            logs = case.noise(rng, 2)
            findings, _ = compare_sessions(timed(rng, logs[:, 0]), timed(rng, logs[:, 1]))
            hits += any(finding.fails for finding in findings)
        limit = ALPHA if case.name.startswith("none") else None
        rates.append(Rate("equal folders differ", f"noise between folders: {case.name}", hits, trials, limit=limit))
    return rates


STUDIES = {
    "night times": Study(
        f"Times of unchanged nights, {BENCHES} benchmarks, not judged before night {MIN_NIGHTS + 1}",
        null_rates, full=1000, short=25,
    ),
    "slower benchmarks": Study(
        f"One of {BENCHES} benchmarks becomes slower after {BEFORE} nights", planted_rates, full=100, short=1
    ),
    "detectable change of times": Study(
        f"A change as large as the one that a check calls detectable, after {BEFORE} nights",
        detectable_rates, full=150, short=1,
    ),
    "times of two folders": Study(
        f"Two results folders with {BENCHES} benchmarks of the same code", folder_rates, full=500, short=3
    ),
    "level shifts on the history page": Study(
        "Series of 60 nights without a change of level", marked_rates, full=1000, short=10
    ),
}  # fmt: skip

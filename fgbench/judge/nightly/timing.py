"""Times of a night against those of earlier ones: the last ones, and the first, so that no slow creep gets through."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log1p

import numpy as np
from scipy import special

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.findings import Check, Finding, Kind
from fgbench.statistics import holm
from fgbench.statistics.moderated_variance import Moderated, moderate

ALPHA = {"the last nights": 0.002, "the first nights": 0.0005}
"""Chance of any false alarm about speed in a night, by what it is held against; with quality's, 0.3 % in all."""
LEAST = 0.05
"""Slower by less is no finding, however sure."""
ROLLING = 14
"""Nights that the rolling baseline goes back."""
FIXED = 5
"""First nights that are the fixed baseline; and the fewest whose spread is trusted."""
NIGHT = 0.03
"""Spread between nights that is reckoned with as long as there are too few to see it, in logarithms."""
POWER = 0.9

Nights = Sequence[Sequence[BenchmarkTimes]]
"""The benchmarks of some nights, the oldest first."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The nights that a benchmark is held against."""

    tonight: BenchmarkTimes
    nights: tuple[BenchmarkTimes, ...]
    """Of the same version and machine, the oldest first."""


@dataclass(frozen=True, slots=True)
class _Test:
    bench: BenchmarkTimes
    against: str
    base: float
    """Mean of the logarithms."""
    change: float
    """In logarithms; above 0 is slower."""
    error: float
    """Standard error of the change."""
    freedom: float

    def p(self, sign: int) -> float:
        """One-sided, against "not slower" (1) or "not faster" (-1)."""
        distance = -sign * self.change / self.error
        # Of special functions: those of scipy.stats take a hundred times as long, and there are many tests.
        return float(special.ndtr(distance) if self.freedom == inf else special.stdtr(self.freedom, distance))


def compare_speed(
    earlier: Nights, tonight: Sequence[BenchmarkTimes], expected: Iterable[str] = ()
) -> tuple[list[Finding], list[Check]]:
    """What became of every benchmark of the last night, and how it stands against the nights before.

    The logarithm of a time over the reference's is averaged over the sessions of a night. Its variance from night to
    night is that seen between successive nights of the rolling baseline, all benchmarks leaning on one another, and at
    least what is seen between sessions; with fewer than five nights it is at least that of 3 %. Student's t test,
    one-sided, Holm's correction over all benchmarks; and an effect of 5 %.

    Args:
        earlier: the nights kept, the oldest first; those that a benchmark failed in without it.
        tonight: this one.
        expected: names of benchmarks that have to be there.
    """
    same: dict[tuple[str, str, str], list[BenchmarkTimes]] = {}
    for bench in (bench for night in earlier for bench in night):
        same.setdefault(bench.key, []).append(bench)
    baselines = [Baseline(bench, tuple(same.get(bench.key, ()))) for bench in tonight]
    found = [*_absent(expected, tonight), *_no_baseline(earlier, baselines)]
    held = [own for own in baselines if own.nights]
    if not held:
        return found, []
    spread = _spread(held)
    rolling = [_test(own, own.nights[-ROLLING:], "the last nights", spread) for own in held]
    fixed = [_test(own, own.nights[:FIXED], "the first nights", spread) for own in held if len(own.nights) > FIXED]
    checks = []
    for tests in (rolling, fixed):
        slower, faster = holm([test.p(1) for test in tests]), holm([test.p(-1) for test in tests])
        for test, down, up in zip(tests, slower, faster, strict=True):
            kind: Kind | None = None
            if down <= ALPHA[test.against] and test.change >= log1p(LEAST):
                kind = "worse"
            elif up <= ALPHA[test.against] and test.change <= -log1p(LEAST):
                kind = "better"
            said = f"{_times(test.base)} to {_times(test.base + test.change)} the reference"
            words = f"{_percent(test.change)} against {test.against}, p = {min(down, up):.2g} among all benchmarks"
            if kind:
                found.append(Finding(kind, "speed", test.bench.name, f"{said}: {words}"))
            checks.append(
                Check(
                    "speed",
                    test.bench.name,
                    _times(test.base),
                    _times(test.base + test.change),
                    _percent(test.change),
                    min(down, up),
                    f"t test against {test.against}",
                    _percent(_detectable(test, len(tests))),
                )
            )
    return found, checks


def _absent(expected: Iterable[str], tonight: Sequence[BenchmarkTimes]) -> Iterator[Finding]:
    there = {bench.name for bench in tonight}
    for name in dict.fromkeys(expected):
        if name not in there:
            yield Finding("was not run", "speed", name, "in the baseline, and not in this night")


def _no_baseline(earlier: Nights, baselines: Sequence[Baseline]) -> Iterator[Finding]:
    """Benchmarks that are new, or whose earlier times are of another thing or machine."""
    last: Mapping[str, BenchmarkTimes] = {bench.name: bench for night in earlier for bench in night}
    for bench in (own.tonight for own in baselines if not own.nights):
        before = last.get(bench.name)
        if before is None:
            if earlier:
                yield Finding("new", "speed", bench.name, "not in the baseline")
        elif before.version != bench.version:
            text = f"not compared: the benchmark itself changed ({before.version} to {bench.version}); a new baseline"
            yield Finding("note", "speed", bench.name, text)
        else:
            text = f"not compared: another machine ({before.machine}; tonight {bench.machine})"
            yield Finding("note", "speed", bench.name, text)


def _spread(held: Sequence[Baseline]) -> dict[str, tuple[float, float]]:
    """Variance of a night's mean by benchmark, with its degrees of freedom."""
    found = {own.tonight.name: (NIGHT**2, float("inf")) for own in held}
    enough = [own for own in held if len(own.nights) >= FIXED]
    if enough:
        # Moderation needs equal degrees of freedom: those of the benchmark with the fewest nights.
        count = min(ROLLING, *(len(own.nights) for own in enough))
        between = [_successive(np.array([night.mean for night in own.nights[-count:]])) for own in enough]
        moderated = moderate(np.array(between), 2 * (count - 1) ** 2 / (3 * count - 4))
        found |= _named(enough, moderated)
    several = [own for own in held if all(len(night.sessions) > 1 for night in (*own.nights, own.tonight))]
    if several:
        means = [_within(own) for own in several]
        within = moderate(np.array([variance for variance, _ in means]), min(freedom for _, freedom in means))
        for name, (variance, freedom) in _named(several, within).items():
            if variance > found[name][0]:
                found[name] = (variance, freedom)
    return found


def _successive(means: np.ndarray) -> float:
    """Variance from the differences of nights that follow each other, which a creep or a step hardly widens.

    von Neumann, Kent, Bellinson and Hart, Ann. Math. Stat. 12:153-162, 1941; of n values it is worth as much as a
    variance with 2 (n - 1)^2 / (3 n - 4) degrees of freedom.
    """
    return float((np.diff(means) ** 2).mean() / 2)


def _within(own: Baseline) -> tuple[float, int]:
    """Variance of a night's mean as its sessions show it, pooled over the nights."""
    nights = [np.array(night.sessions) for night in (*own.nights[-ROLLING:], own.tonight)]
    freedom = sum(len(sessions) - 1 for sessions in nights)
    pooled = sum(float(((sessions - sessions.mean()) ** 2).sum()) for sessions in nights) / freedom
    return pooled / len(own.tonight.sessions), freedom


def _named(baselines: Sequence[Baseline], found: Moderated) -> dict[str, tuple[float, float]]:
    names = [own.tonight.name for own in baselines]
    return {name: (float(v), found.freedom) for name, v in zip(names, found.variances, strict=True)}


def _test(
    own: Baseline, nights: Sequence[BenchmarkTimes], against: str, spread: Mapping[str, tuple[float, float]]
) -> _Test:
    variance, freedom = spread[own.tonight.name]
    base = float(np.mean([night.mean for night in nights]))
    error = max((variance * (1 + 1 / len(nights))) ** 0.5, 1e-9)
    return _Test(own.tonight, against, base, own.tonight.mean - base, error, freedom)


def _detectable(test: _Test, tests: int) -> float:
    """The change, in logarithms, that is found nine times out of ten where no other benchmark changes."""
    level = ALPHA[test.against] / tests
    beyond = special.ndtri(level) if test.freedom == inf else special.stdtrit(test.freedom, level)
    return max(-float(beyond) * test.error, log1p(LEAST)) + float(special.ndtri(POWER)) * test.error


def _times(value: float) -> str:
    return f"{exp(value):.3g} times"


def _percent(change: float) -> str:
    return f"{100 * (exp(change) - 1):+.1f} %"

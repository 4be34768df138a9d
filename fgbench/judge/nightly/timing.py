"""Compare the times of a night with those of the last nights, and of the first nights to detect slow drifts."""

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
"""Probability of a false alarm on any benchmark in a night, by baseline; with the values it is 0.3 % in total."""
MIN_CHANGE = 0.05
"""A smaller relative change is never a finding."""
ROLLING = 14
"""Number of nights in the rolling baseline."""
FIXED = 5
"""Number of first nights in the fixed baseline, and least number of nights for an estimate of the spread."""
NIGHT_SPREAD = 0.03
"""Assumed standard deviation of log times between nights if there are fewer nights."""
POWER = 0.9
"""Power at which the detectable change is reported."""

Nights = Sequence[Sequence[BenchmarkTimes]]
"""Benchmarks of several nights, the oldest first."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A benchmark of the judged night with its earlier nights."""

    tonight: BenchmarkTimes
    """The benchmark in the judged night."""
    nights: tuple[BenchmarkTimes, ...]
    """The earlier nights with the same version and machine, the oldest first."""


@dataclass(frozen=True, slots=True)
class _Test:
    bench: BenchmarkTimes
    against: str
    """Name of the baseline."""
    base: float
    """Mean log time of the baseline."""
    change: float
    """Difference of log times; above 0 is slower."""
    error: float
    """Standard error of the change."""
    freedom: float
    """Degrees of freedom of `error`."""

    def p(self, sign: int) -> float:
        """Return the one-sided p-value for slower (`sign` 1) or faster (-1)."""
        distance = -sign * self.change / self.error
        # scipy.special is a hundred times as fast as scipy.stats.
        return float(special.ndtr(distance) if self.freedom == inf else special.stdtr(self.freedom, distance))


def compare_speed(
    earlier: Nights, tonight: Sequence[BenchmarkTimes], expected: Iterable[str] = ()
) -> tuple[list[Finding], list[Check]]:
    """Return the findings and checks of the times of a night against earlier nights.

    The logarithm of the relative time is averaged over the sessions of a night. Its variance between nights is
    estimated from successive nights of the rolling baseline, moderated over all benchmarks. It is at least the variance
    between sessions, and with fewer than `FIXED` nights at least `NIGHT_SPREAD` squared. The test is a one-sided t test
    with Holm's correction over all benchmarks; a finding also needs a change of at least `MIN_CHANGE`.

    Args:
        earlier: the kept nights, the oldest first, without the benchmarks that failed in them.
        tonight: benchmarks of the judged night.
        expected: names of benchmarks that must be present.
    """
    # The earlier nights of baseline benchmark.
    same: dict[tuple[str, str, str], list[BenchmarkTimes]] = {}
    for bench in (bench for night in earlier for bench in night):
        same.setdefault(bench.key, []).append(bench)
    baselines = [Baseline(bench, tuple(same.get(bench.key, ()))) for bench in tonight]
    findings = [*_missing(expected, tonight), *_no_baseline(earlier, baselines)]
    compared = [baseline for baseline in baselines if baseline.nights]
    if not compared:
        return findings, []
    # One test against the last nights, and one against the first nights.
    spread = _spread(compared)
    rolling = [_test(baseline, baseline.nights[-ROLLING:], "the last nights", spread) for baseline in compared]
    fixed = [
        _test(baseline, baseline.nights[:FIXED], "the first nights", spread)
        for baseline in compared
        if len(baseline.nights) > FIXED
    ]
    checks = []
    for tests in (rolling, fixed):
        slower, faster = holm([test.p(1) for test in tests]), holm([test.p(-1) for test in tests])
        for test, down, up in zip(tests, slower, faster, strict=True):
            kind: Kind | None = None
            if down <= ALPHA[test.against] and test.change >= log1p(MIN_CHANGE):
                kind = "worse"
            elif up <= ALPHA[test.against] and test.change <= -log1p(MIN_CHANGE):
                kind = "better"
            times = f"{_times(test.base)} to {_times(test.base + test.change)} the reference workload"
            change = (
                f"{_percent(test.change)} against {test.against}, p = {min(down, up):.2g} adjusted for all benchmarks"
            )
            if kind:
                findings.append(Finding(kind, "speed", test.bench.name, f"{times}: {change}"))
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
    return findings, checks


def _missing(expected: Iterable[str], tonight: Sequence[BenchmarkTimes]) -> Iterator[Finding]:
    present = {bench.name for bench in tonight}
    for name in dict.fromkeys(expected):
        if name not in present:
            yield Finding("was not run", "speed", name, "in the baseline but not in this night")


def _no_baseline(earlier: Nights, baselines: Sequence[Baseline]) -> Iterator[Finding]:
    """Yield benchmarks that are new, or whose earlier times have another version or machine."""
    last: Mapping[str, BenchmarkTimes] = {bench.name: bench for night in earlier for bench in night}
    for bench in (baseline.tonight for baseline in baselines if not baseline.nights):
        before = last.get(bench.name)
        if before is None:
            if earlier:
                yield Finding("new", "speed", bench.name, "not in the baseline")
        elif before.version != bench.version:
            text = f"not compared, since the code of the benchmark changed ({before.version} to {bench.version})"
            yield Finding("note", "speed", bench.name, text)
        else:
            text = f"not compared, since the machine changed ({before.machine} to {bench.machine})"
            yield Finding("note", "speed", bench.name, text)


def _spread(baselines: Sequence[Baseline]) -> dict[str, tuple[float, float]]:
    """Return the variance of the mean of a night and its degrees of freedom, by benchmark."""
    variances = {baseline.tonight.name: (NIGHT_SPREAD**2, float("inf")) for baseline in baselines}
    enough = [baseline for baseline in baselines if len(baseline.nights) >= FIXED]
    if enough:
        # Moderation needs equal degrees of freedom: those of the benchmark with the fewest nights.
        count = min(ROLLING, *(len(baseline.nights) for baseline in enough))
        between = [_successive(np.array([night.mean for night in baseline.nights[-count:]])) for baseline in enough]
        moderated = moderate(np.array(between), 2 * (count - 1) ** 2 / (3 * count - 4))
        variances |= _named(enough, moderated)
    several = [
        baseline
        for baseline in baselines
        if all(len(night.sessions) > 1 for night in (*baseline.nights, baseline.tonight))
    ]
    if several:
        means = [_within(baseline) for baseline in several]
        within = moderate(np.array([variance for variance, _ in means]), min(freedom for _, freedom in means))
        for name, (variance, freedom) in _named(several, within).items():
            if variance > variances[name][0]:
                variances[name] = (variance, freedom)
    return variances


def _successive(means: np.ndarray) -> float:
    """Return the variance estimated from differences of successive nights; a drift or a step hardly increases it.

    Source: von Neumann, Kent, Bellinson and Hart, Ann. Math. Stat. 12:153-162, 1941. With n values it has
    2 (n - 1)^2 / (3 n - 4) degrees of freedom.
    """
    return float((np.diff(means) ** 2).mean() / 2)


def _within(baseline: Baseline) -> tuple[float, int]:
    """Return the variance of the mean of a night, pooled from the sessions of all nights, and its freedom."""
    nights = [np.array(night.sessions) for night in (*baseline.nights[-ROLLING:], baseline.tonight)]
    freedom = sum(len(sessions) - 1 for sessions in nights)
    pooled = sum(float(((sessions - sessions.mean()) ** 2).sum()) for sessions in nights) / freedom
    return pooled / len(baseline.tonight.sessions), freedom


def _named(baselines: Sequence[Baseline], moderated: Moderated) -> dict[str, tuple[float, float]]:
    names = [baseline.tonight.name for baseline in baselines]
    return {name: (float(v), moderated.freedom) for name, v in zip(names, moderated.variances, strict=True)}


def _test(
    baseline: Baseline, nights: Sequence[BenchmarkTimes], against: str, spread: Mapping[str, tuple[float, float]]
) -> _Test:
    variance, freedom = spread[baseline.tonight.name]
    base = float(np.mean([night.mean for night in nights]))
    error = max((variance * (1 + 1 / len(nights))) ** 0.5, 1e-9)
    return _Test(baseline.tonight, against, base, baseline.tonight.mean - base, error, freedom)


def _detectable(test: _Test, tests: int) -> float:
    """Return the change of log time that is found with the power `POWER` if no other benchmark changes."""
    level = ALPHA[test.against] / tests
    quantile = special.ndtri(level) if test.freedom == inf else special.stdtrit(test.freedom, level)
    return max(-float(quantile) * test.error, log1p(MIN_CHANGE)) + float(special.ndtri(POWER)) * test.error


def _times(value: float) -> str:
    return f"{exp(value):.3g} times"


def _percent(change: float) -> str:
    return f"{100 * (exp(change) - 1):+.1f} %"

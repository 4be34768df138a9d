"""Compare the times of a night with those of the last nights, and of the first nights to detect slow drifts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log1p

import numpy as np

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.findings import Check, Finding, Kind
from fgbench.statistics.shift_limits import BASELINE, RECENT, ShiftLimits, limit_shifts
from fgbench.util.counted import counted

MIN_CHANGE = 0.05
"""A smaller relative change is never a finding."""
MIN_NIGHTS = 15
"""A benchmark with fewer earlier nights is not judged: its spread between nights is not known."""
FIRST = 10
"""Number of first nights in the fixed baseline."""
DRIFT = 0.08
"""Relative change that a machine may have between its first and last nights, in addition to the limit."""
MANY_NIGHTS = 300
"""Number of nights of a series that are used, beside the first ones."""
MARKS = {"": 0, "slower": 1, "faster": -1}
"""Numbers for `BenchmarkTimes.beyond_limit`."""

Nights = Sequence[Sequence[BenchmarkTimes]]
"""Benchmarks of several nights, the oldest first."""


@dataclass(frozen=True, slots=True)
class SpeedComparison:
    """The times of a night compared with earlier nights."""

    findings: list[Finding]
    """What is slower, faster, missing, new, or not judged."""
    checks: list[Check]
    """One for each judged benchmark."""
    judged: tuple[BenchmarkTimes, ...]
    """The benchmarks of the night; those beyond their limit are marked."""


@dataclass(frozen=True, slots=True)
class _Series:
    """A judged benchmark with its earlier nights."""

    tonight: BenchmarkTimes
    nights: tuple[BenchmarkTimes, ...]
    """The earlier nights with the same version and machine, the oldest first."""

    @property
    def first(self) -> float:
        """Median of the first nights."""
        return float(np.median([night.level for night in self.nights[:FIRST]]))


def compare_speed(earlier: Nights, tonight: Sequence[BenchmarkTimes], expected: Iterable[str] = ()) -> SpeedComparison:
    """Compare the times of a night with those of earlier nights.

    A benchmark is slower if the median of its last 7 nights is above that of the 60 nights before by more than a limit,
    which comes from the shifts of all benchmarks in earlier nights (`limit_shifts`), and if this night is, too. So more
    than half of 7 nights must be slower. The same median is compared with the first nights, with a limit that is larger
    by `DRIFT`. A benchmark that is beyond the limit in this night alone is noted and does not become a part of
    baselines. With fewer than `MIN_NIGHTS` earlier nights, nothing is judged.

    Args:
        earlier: the kept nights as `baseline_nights` returns them, the oldest first.
        tonight: benchmarks of the judged night.
        expected: names of benchmarks that must be present.
    """
    series = _all_series(earlier, tonight)
    findings = [*find_missing(expected, tonight), *_not_judged(earlier, series)]
    judged = [one for one in series if len(one.nights) >= MIN_NIGHTS]
    if not judged:
        return SpeedComparison(findings, [], tuple(tonight))
    limits = _limits(judged)
    checks, marks = [], {}
    for k, one in enumerate(judged):
        finding, check, mark = _judge(one, limits, k)
        findings += [finding] if finding else []
        checks.append(check)
        marks[one.tonight.name] = mark
    marked = (bench.model_copy(update={"beyond_limit": marks.get(bench.name, "")}) for bench in tonight)
    return SpeedComparison(findings, checks, tuple(marked))


def slower_tonight(earlier: Nights, tonight: Sequence[BenchmarkTimes]) -> list[str]:
    """Return the names of the benchmarks that look slower in a night, the largest change first.

    Args:
        earlier: as for `compare_speed`.
        tonight: as for `compare_speed`.
    """
    judged = [one for one in _all_series(earlier, tonight) if len(one.nights) >= MIN_NIGHTS]
    if not judged:
        return []
    limits = _limits(judged)
    slower = [k for k in range(len(judged)) if limits.latest[k] > limits.limits[k]]
    return [judged[k].tonight.name for k in sorted(slower, key=lambda k: -limits.latest[k])]


def _all_series(earlier: Nights, tonight: Sequence[BenchmarkTimes]) -> list[_Series]:
    """Return the benchmarks of a night, each with its earlier nights."""
    same: dict[tuple[str, str, str], list[BenchmarkTimes]] = {}
    for bench in (bench for night in earlier for bench in night):
        same.setdefault(bench.key, []).append(bench)
    return [_Series(bench, tuple(same.get(bench.key, ()))) for bench in tonight]


def _limits(judged: Sequence[_Series]) -> ShiftLimits:
    """Return the shifts of the benchmarks with their limits."""
    length = min(MANY_NIGHTS, max(len(one.nights) for one in judged)) + 1
    values, marks = np.full((len(judged), length), np.nan), np.zeros((len(judged), length), dtype=np.int8)
    for row, one in enumerate(judged):
        nights = (*one.nights, one.tonight)[-length:]
        values[row, -len(nights) :] = [night.level for night in nights]
        marks[row, -len(nights) :] = [MARKS[night.beyond_limit] for night in nights]
    # A shift was found where more than half of the recent nights are marked.
    recent = np.lib.stride_tricks.sliding_window_view(np.pad(marks, ((0, 0), (RECENT - 1, 0))), RECENT, axis=1)
    found = np.maximum((recent == 1).sum(axis=-1), (recent == -1).sum(axis=-1)) > RECENT // 2
    return limit_shifts(values, marks == 1, found, log1p(MIN_CHANGE))


def _judge(one: _Series, limits: ShiftLimits, k: int) -> tuple[Finding | None, Check, str]:
    """Return the finding, the check and the mark of benchmark k."""
    name, limit, shift, latest = one.tonight.name, limits.limits[k], limits.shifts[k], limits.latest[k]
    base, against, allowed = one.tonight.level - latest, f"the {BASELINE} before", limit
    recent = base + shift
    # Against the last nights; against the first nights if only they show a change.
    kind: Kind | None = "worse" if min(shift, latest) > limit else "better" if max(shift, latest) < -limit else None
    if kind is None and min(recent, one.tonight.level) - one.first > limit + log1p(DRIFT):
        kind, base, against, allowed = "worse", one.first, f"the first {FIRST}", limit + log1p(DRIFT)
    change = percent(recent - base)
    text = (
        f"{_times(base)} to {_times(recent)} the reference workload: {change} in the last {RECENT} nights against "
        f"{against}; the limit is {percent(allowed if recent > base else -allowed)}"
    )
    # In this night alone.
    mark = "slower" if latest > limit else "faster" if latest < -limit else ""
    if kind is None and mark == "slower":
        kind, text = "note", _suspicion(one, latest, limit)
    check = Check(
        "speed", name, _times(base), _times(recent), change, float(limits.p[k]),
        f"median of {RECENT} nights against {against}", percent(limits.detectable[k]),
    )  # fmt: skip
    return Finding(kind, "speed", name, text) if kind else None, check, mark


def _suspicion(one: _Series, latest: float, limit: float) -> str:
    """Return the text on a benchmark that is slower in this night, but not in most of the last nights."""
    count = 1 + sum(night.beyond_limit == "slower" for night in one.nights[-RECENT + 1 :])
    again = f", also in {counted(len(one.tonight.again), 'new session')}" if one.tonight.again else ""
    return (
        f"slower in this night ({percent(latest)}, the limit is {percent(limit)}){again}; slower in {count} of the "
        f"last {RECENT} nights, and the night fails at {RECENT // 2 + 1}"
    )


def find_missing(expected: Iterable[str], tonight: Sequence[BenchmarkTimes]) -> Iterator[Finding]:
    """Yield a finding for each expected benchmark that is missing."""
    present = {bench.name for bench in tonight}
    for name in dict.fromkeys(expected):
        if name not in present:
            yield Finding("was not run", "speed", name, "in the baseline but not in this night")


def _not_judged(earlier: Nights, series: Sequence[_Series]) -> Iterator[Finding]:
    """Yield why benchmarks are not judged."""
    last: Mapping[str, BenchmarkTimes] = {bench.name: bench for night in earlier for bench in night}
    reasons = []
    for one in (one for one in series if len(one.nights) < MIN_NIGHTS):
        kind, text = reason_not_compared(last.get(one.tonight.name), one.tonight)
        if one.nights or not earlier:
            kind, text = "note", f"not compared: {len(one.nights)} of the {MIN_NIGHTS} earlier nights that are needed"
        reasons.append((kind, text, one.tonight.name))
    yield from grouped(reasons)


def reason_not_compared(before: BenchmarkTimes | None, bench: BenchmarkTimes) -> tuple[Kind, str]:
    """Return the kind of finding and the reason why a benchmark is new, or of another version or machine."""
    if before is None:
        return "new", "not in the baseline"
    if before.version != bench.version:
        text = f"not compared, since the code of the benchmark changed ({before.version} to {bench.version})"
        return "note", text
    return "note", f"not compared, since the machine changed ({before.machine} to {bench.machine})"


def grouped(reasons: Iterable[tuple[Kind, str, str]]) -> Iterator[Finding]:
    """Yield one finding for each reason why benchmarks are not compared: a new machine concerns all of them.

    Args:
        reasons: kind of finding, reason, and name of the benchmark.
    """
    names: dict[tuple[Kind, str], list[str]] = {}
    for kind, text, name in reasons:
        names.setdefault((kind, text), []).append(name)
    for (kind, text), group in names.items():
        yield Finding(kind, "speed", group[0] if len(group) == 1 else counted(len(group), "benchmark"), text)


def percent(change: float) -> str:
    """Return a difference of logarithms as a relative change in percent."""
    return f"{100 * (exp(change) - 1):+.1f} %"


def _times(value: float) -> str:
    return f"{exp(value):.3g} times"

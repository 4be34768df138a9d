"""Compare the times of two results folders by their sessions, without a history of nights."""

from collections.abc import Sequence
from math import comb, exp, log1p
from statistics import median

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.findings import Check, Finding, Kind
from fgbench.judge.nightly.timing import find_missing, grouped, percent, reason_not_compared
from fgbench.statistics import holm
from fgbench.util.counted import counted

ALPHA = 0.05
"""Probability that any benchmark is falsely called slower if the sessions of both folders alternate; also faster."""
MIN_CHANGE = 0.2
"""A smaller relative change is never a finding: with two nights, the noise between nights is not known."""


def compare_sessions(
    base: Sequence[BenchmarkTimes], head: Sequence[BenchmarkTimes]
) -> tuple[list[Finding], list[Check]]:
    """Return the findings and checks of the times of two results folders.

    The test is the exact rank test of the sessions (Mann and Whitney, Ann. Math. Stat. 18:50-60, 1947) with Holm's
    correction over all benchmarks. It is exact if the sessions of both folders alternate on one machine (Abedi and
    Brecht, ICPE 2017). Noise that is common to the sessions of a folder is not in it; therefore only a change of at
    least `MIN_CHANGE` is a finding. A smaller one is a note.

    Args:
        base: benchmarks of before.
        head: benchmarks of now.
    """
    before = {bench.name: bench for bench in base}
    same = [bench for bench in head if bench.name in before and before[bench.name].key == bench.key]
    # Too few sessions cannot have a small p-value.
    pairs = [
        (before[bench.name], bench) for bench in same if _smallest_p(before[bench.name], bench) * len(same) <= ALPHA
    ]
    compared = {bench.name for _, bench in pairs}
    reasons = []
    for bench in (bench for bench in head if bench.name not in compared):
        if bench in same:
            kind: Kind = "note"
            text = f"not compared: the sessions are too few to judge {counted(len(same), 'benchmark')}"
        else:
            kind, text = reason_not_compared(before.get(bench.name), bench)
        reasons.append((kind, text, bench.name))
    slower, faster = (holm([_p(old, bench, sign) for old, bench in pairs]) for sign in (1, -1))
    findings, checks = [*find_missing(before, head), *grouped(reasons)], []
    for (old, bench), down, up in zip(pairs, slower, faster, strict=True):
        was, now = median(old.sessions), median(bench.sessions)
        p, change = min(down, up), now - was
        text = f"{exp(was):.3g} times to {exp(now):.3g} times the reference workload: {percent(change)}, p = {p:.2g}"
        if p <= ALPHA and abs(change) >= log1p(MIN_CHANGE):
            findings.append(Finding("worse" if change > 0 else "better", "speed", bench.name, text))
        elif p <= ALPHA and change > 0:
            text += f"; below {MIN_CHANGE:.0%}, two nights can differ so much by chance"
            findings.append(Finding("note", "speed", bench.name, text))
        test = "exact rank test of the sessions"
        checks.append(
            Check("speed", bench.name, f"{exp(was):.3g} times", f"{exp(now):.3g} times", percent(change), p, test)
        )
    return findings, checks


def _smallest_p(old: BenchmarkTimes, new: BenchmarkTimes) -> float:
    return 1 / comb(len(old.sessions) + len(new.sessions), len(old.sessions))


def _p(old: BenchmarkTimes, new: BenchmarkTimes, sign: int) -> float:
    """Return the one-sided p-value for slower (`sign` 1) or faster (-1)."""
    from scipy.stats import mannwhitneyu

    alternative = "greater" if sign > 0 else "less"
    return float(mannwhitneyu(new.sessions, old.sessions, alternative=alternative, method="exact").pvalue)

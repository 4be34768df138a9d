"""The result of a comparison of two nights."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from fgbench.util.counted import counted

Kind = Literal["worse", "was not run", "changed", "broken", "better", "new", "note"]
KINDS: tuple[Kind, ...] = ("broken", "was not run", "changed", "worse", "better", "new", "note")
"""All kinds in the order in which they are reported."""
FAILS = frozenset({"broken", "was not run", "changed", "worse"})
"""Kinds with which the comparison fails. A value that is better fails, too; a faster benchmark does not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between two nights."""

    kind: Kind
    of: Literal["quality", "speed", "nights"]
    """What was compared: values, times of benchmarks, or the nights as a whole."""
    where: str
    """The run and value, or the benchmark; equal in all nights."""
    text: str
    """Description in one sentence."""
    second_look: bool = False
    """True if one odd training can cause it: a night fails with it only if it is found in two nights in a row."""

    @property
    def fails(self) -> bool:
        """True if the comparison fails with this finding."""
        return self.kind in FAILS or (self.kind == "better" and self.of == "quality")


def take_second_look(
    findings: Iterable[Finding],
    last_night: Collection[str],
    advice: str = "the night fails if the next one shows it, too",
) -> list[Finding]:
    """Return the findings, those that need a second look as notes unless the last night had them, too.

    Args:
        findings: the findings of a night.
        last_night: `where` of the findings of the last night that needed a second look.
        advice: clause that is added to the notes.
    """
    return [
        replace(finding, kind="note", text=f"{finding.text}; {advice}")
        if finding.second_look and finding.where not in last_night
        else finding
        for finding in findings
    ]


@dataclass(frozen=True, slots=True)
class Check:
    """One value or benchmark that was compared with the baseline."""

    of: Literal["quality", "speed"]
    """What was compared: a value or the time of a benchmark."""
    where: str
    """The run and value, or the benchmark."""
    base: str
    """Value in the baseline, as text."""
    head: str
    """Value in the judged night, as text."""
    change: str
    """Change from `base` to `head`, as text."""
    p: float
    """p-value adjusted for all tests of the night; 1 if nothing differs."""
    test: str
    """Name of the test."""
    detectable: str = ""
    """The smallest change that the test finds with a probability of 90 %."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the tables of a comparison, and one test case of JUnit."""

    of: Literal["quality", "speed", "nights"]
    """What was compared."""
    name: str
    """`where` of the check or finding, with the test if several checks have the same `where`; unique in `of`."""
    check: Check | None
    """The check; None for a failure that belongs to no check, such as a run that is missing."""
    failures: tuple[Finding, ...]
    """The findings with which the comparison fails here."""
    skipped: str = ""
    """Why benchmarks were not compared; empty for what was compared."""

    @property
    def result(self) -> str:
        """The kinds of the failures, or `passed` or `not compared`."""
        kinds = ", ".join(dict.fromkeys(finding.kind for finding in self.failures))
        return kinds or ("not compared" if self.skipped else "passed")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A night compared with a baseline."""

    base: str
    """Name of the baseline."""
    head: str
    """Name of the judged night."""
    findings: tuple[Finding, ...]
    """In the order of `KINDS`."""
    checks: tuple[Check, ...]
    """All compared values and benchmarks."""

    @property
    def failures(self) -> list[Finding]:
        """The findings with which the comparison fails."""
        return [finding for finding in self.findings if finding.fails]

    @property
    def exit_code(self) -> int:
        """0 if nothing is broken, missing, changed or worse, and no value is better; else 1."""
        return 1 if self.failures else 0

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        counts = {kind: len(self.of_kind(kind)) for kind in KINDS}
        words = ", ".join(
            f"{counts[kind]} {kind.removeprefix('was ')}" for kind in KINDS if counts[kind] and kind != "note"
        )
        if not self.checks:
            others = f", {words}" if any(finding.of != "nights" for finding in self.failures) else ""
            return f"not run: nothing was compared{others}"
        compared = counted(len(self.checks), "value or benchmark", "values and benchmarks") + " compared"
        no_times = "" if any(check.of == "speed" for check in self.checks) else "; no benchmark was compared"
        timed = any(finding.of == "speed" for finding in self.findings)
        return f"{compared}: {words or 'nothing differs'}{no_times if timed else ''}"

    @property
    def rows(self) -> list[Row]:
        """A row for each check, one for each place of failures without a check, and one for benchmarks not compared.

        If several checks have the same `where`, such as a benchmark against two baselines, its failures are in each.
        """
        failures: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.failures:
            failures.setdefault((finding.of, finding.where), []).append(finding)
        places = Counter((check.of, check.where) for check in self.checks)
        rows = [
            Row(check.of, check.where, check, tuple(failures.get((check.of, check.where), ())))
            if places[check.of, check.where] == 1
            else Row(check.of, f"{check.where}, {check.test}", check, tuple(failures.get((check.of, check.where), ())))
            for check in self.checks
        ]
        others = [found for place, found in failures.items() if place not in places]
        skipped = [
            Row(finding.of, finding.where, None, (), skipped=finding.text)
            for finding in self.findings
            if finding.of != "quality" and not finding.fails and (finding.of, finding.where) not in places
        ]
        return [*rows, *(Row(found[0].of, found[0].where, None, tuple(found)) for found in others), *skipped]

    def of_kind(self, kind: Kind) -> list[Finding]:
        """Return the findings of a kind, in order."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as values for JSON."""
        summary = {"base": self.base, "head": self.head, "verdict": self.verdict, "exit_code": self.exit_code}
        return {**summary, **asdict(self)}


def build_comparison(base: str, head: str, findings: Iterable[Finding], checks: Sequence[Check]) -> Comparison:
    """Return a comparison with its findings in the order of `KINDS`."""
    ordered = sorted(findings, key=lambda finding: KINDS.index(finding.kind))
    return Comparison(base, head, tuple(ordered), tuple(checks))

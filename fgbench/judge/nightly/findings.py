"""The result of a comparison of two nights."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fgbench.util.counted import counted

Kind = Literal["worse", "was not run", "changed", "broken", "better", "new", "note"]
KINDS: tuple[Kind, ...] = ("broken", "was not run", "changed", "worse", "better", "new", "note")
"""All kinds in the order in which they are reported."""
FAILS = frozenset({"broken", "was not run", "changed", "worse"})
"""Kinds with which the comparison fails."""


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

    @property
    def fails(self) -> bool:
        """True if the comparison fails with this finding."""
        return self.kind in FAILS


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
        """0 if nothing is broken, missing, changed or worse; else 1."""
        return 1 if self.failures else 0

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        counts = {kind: len(self.of_kind(kind)) for kind in KINDS}
        words = ", ".join(
            f"{counts[kind]} {kind.removeprefix('was ')}" for kind in KINDS if counts[kind] and kind != "note"
        )
        compared = counted(len(self.checks), "value or benchmark", "values and benchmarks") + " compared"
        return f"{compared}: {words or 'nothing differs'}" if self.checks or words else "nothing was compared"

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

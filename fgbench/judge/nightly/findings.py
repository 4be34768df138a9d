"""What a comparison of two nights finds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["worse", "was not run", "changed", "broken", "better", "new", "note"]
KINDS: tuple[Kind, ...] = ("broken", "was not run", "changed", "worse", "better", "new", "note")
"""In the order they are told."""
FAILS = frozenset({"broken", "was not run", "changed", "worse"})
"""Kinds that nobody should overlook: the comparison fails with them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that differs between two nights."""

    kind: Kind
    of: Literal["quality", "speed", "nights"]
    where: str
    """The run and value, or the benchmark; equal from night to night."""
    text: str

    @property
    def fails(self) -> bool:
        """True for what a night must not have."""
        return self.kind in FAILS


@dataclass(frozen=True, slots=True)
class Check:
    """One value or benchmark that was held against the baseline, whatever came of it."""

    of: Literal["quality", "speed"]
    where: str
    base: str
    head: str
    change: str
    p: float
    """Adjusted for all tests of the night; 1 where nothing differs."""
    test: str
    detectable: str = ""
    """The smallest change that is found nine times out of ten."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A night held against another."""

    base: str
    head: str
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]

    @property
    def failures(self) -> list[Finding]:
        """What must not be."""
        return [finding for finding in self.findings if finding.fails]

    @property
    def exit_code(self) -> int:
        """0 where nothing got worse and everything was run, else 1."""
        return 1 if self.failures else 0

    @property
    def verdict(self) -> str:
        """In a sentence."""
        counts = {kind: len(self.of_kind(kind)) for kind in KINDS}
        words = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind] and kind != "note")
        held = f"{len(self.checks)} values and benchmarks compared"
        return f"{held}: {words or 'nothing differs'}" if self.checks or words else "nothing was compared"

    def of_kind(self, kind: Kind) -> list[Finding]:
        """The findings of a kind, in order."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        from dataclasses import asdict

        own = asdict(self)
        return {"base": self.base, "head": self.head, "verdict": self.verdict, "exit_code": self.exit_code, **own}


def build_comparison(base: str, head: str, findings: Iterable[Finding], checks: Sequence[Check]) -> Comparison:
    """Findings in the order they are told."""
    ordered = sorted(findings, key=lambda finding: KINDS.index(finding.kind))
    return Comparison(base, head, tuple(ordered), tuple(checks))

"""Adjustment of the verdicts on cells for the number of tested cells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fgbench.judge.verdict import OUTCOME_AT, Outcome, Verdict
from fgbench.statistics import ALPHA, holm


@dataclass(frozen=True, slots=True)
class CellTests:
    """Number of tested cells, and what to expect of them."""

    tested: int
    """Cells with a test over seeds or splits. A run without random numbers is compared without a random error."""
    decided: int
    """Tested cells that are decided."""
    still_decided: int
    """Of these, cells that are also decided after the adjustment for all tested cells."""

    @property
    def expected_false(self) -> float:
        """Largest expected number of false decisions: each test errs with a probability of at most ALPHA."""
        return ALPHA * self.tested


def adjust_for_all(verdicts: Mapping[str, list[Verdict]]) -> dict[str, list[Verdict]]:
    """Return the verdicts with their p-values adjusted for all tested cells by Holm's method.

    Args:
        verdicts: by paper.
    """
    tested = [verdict for paper in verdicts.values() for verdict in paper if _is_tested(verdict)]
    adjusted = iter(
        holm([verdict.decision.p for verdict in tested if verdict.decision and verdict.decision.p is not None])
    )
    return {
        name: [replace(v, adjusted_p=next(adjusted)) if _is_tested(v) else v for v in paper]
        for name, paper in verdicts.items()
    }


def count_tests(verdicts: Iterable[Verdict]) -> CellTests:
    """Return the number of tested and decided cells."""
    tested = [verdict for verdict in verdicts if _is_tested(verdict)]
    decided = [verdict for verdict in tested if verdict.outcome != Outcome.INCONCLUSIVE]
    return CellTests(len(tested), len(decided), sum(v.adjusted == v.outcome for v in decided))


def _is_tested(verdict: Verdict) -> bool:
    has_test = verdict.decision is not None and verdict.decision.p is not None
    return has_test and verdict.outcome in OUTCOME_AT.values()

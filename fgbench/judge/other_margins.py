"""The verdict on a cell at other margins: how much it depends on the margin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fgbench.judge.sensitivity import DataBound
from fgbench.judge.verdict import OUTCOME_AT, Outcome, Verdict, decide_runs

FACTORS = (0.5, 2.0)
"""Multiples of the margin."""


@dataclass(frozen=True, slots=True)
class OtherMargin:
    """The outcome at another margin."""

    factor: float
    """Multiple of the margin of the cell."""
    margin: float
    """The other margin, in the unit of the cell."""
    outcome: Outcome


def at_other_margins(
    verdict: Verdict, bound: DataBound | None = None, factors: Sequence[float] = FACTORS
) -> list[OtherMargin]:
    """Return the outcomes of a verdict at other margins, with the same runs; empty for a verdict without a test.

    Args:
        verdict: on a cell.
        bound: bound of the effect of changed data that the verdict used.
        factors: multiples of the margin.
    """
    if verdict.decision is None or not verdict.records:
        return []
    return [OtherMargin(factor, factor * verdict.cell.margin, _outcome(verdict, factor, bound)) for factor in factors]


def _outcome(verdict: Verdict, factor: float, bound: DataBound | None) -> Outcome:
    # A deviation of the data with an unknown effect leaves the cell open at every margin.
    if bound is None and any(deviation.changes_data for deviation in verdict.deviations):
        return verdict.outcome
    cell = replace(verdict.cell, margin=factor * verdict.cell.margin)
    return OUTCOME_AT[decide_runs(cell, verdict.records, bound).position]

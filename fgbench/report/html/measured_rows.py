"""The rows of the first page: one for each measured cell, with the difference from the printed value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fgbench.judge.citations import counted_once
from fgbench.judge.external_verdicts import with_external
from fgbench.judge.reason_words import short_reason
from fgbench.judge.seed_interval import SeedInterval
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.papers.printed import Paper
from fgbench.report.formatting import BADGES, Badge, interval
from fgbench.report.html.pages import address
from fgbench.report.html.printed_cells import cell_name, details_anchor

ORDER = (
    Outcome.NOT_REPRODUCED,
    Outcome.EXCEEDS,
    Outcome.INCONCLUSIVE,
    Outcome.REPRODUCED,
    Outcome.NOT_COMPARABLE,
)
"""Outcomes of measured cells, what needs attention first."""


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """A measured cell."""

    verdict: Verdict
    paper: str
    """Id of the paper."""
    anchor: str
    """Anchor of the row on the first page."""
    address: str
    """Link to the details of the cell."""
    name: str
    """Row and column of the printed table."""
    difference: float | None
    """Measured minus printed, in the unit of the cell; None if no number may be shown."""
    interval: SeedInterval
    """Interval of the measured mean."""
    badge: Badge
    reason: str
    """The reason of the verdict in a few words."""

    @property
    def on_synthetic(self) -> bool:
        """True if the runs are on synthetic data."""
        return bool(self.verdict.records) and self.verdict.records[0].synthetic


def measured_rows(papers: Mapping[str, Paper], verdicts: Mapping[str, Sequence[Verdict]]) -> list[MeasuredRow]:
    """Return a row for each measured cell and for each result from outside; a number that two papers share is one.

    Rows are sorted by outcome, as in `ORDER`, then by the size of the difference.

    Args:
        papers: by id.
        verdicts: by id of the paper.
    """
    rows = [
        _row(paper, verdict)
        for paper in papers
        for verdict in with_external(counted_once(verdicts[paper]))
        if verdict.is_measured
    ]
    return sorted(rows, key=_order)


def _order(row: MeasuredRow) -> tuple[int, bool, float]:
    """Return the key of the order: outcome, percentages before speeds, size of the difference.

    Differences on synthetic data say nothing, so that those rows stay in the order of the papers.
    """
    size = 0.0 if row.on_synthetic else abs(row.difference or 0.0)
    return ORDER.index(row.verdict.outcome), row.verdict.frames is not None, -size


def _row(paper: str, verdict: Verdict) -> MeasuredRow:
    cell = verdict.cell
    anchor = details_anchor(verdict)
    return MeasuredRow(
        verdict=verdict,
        paper=paper,
        anchor=f"{paper}-{anchor.removeprefix('cell-')}",
        address=f"{address(paper)}#{anchor}",
        name=cell_name(cell),
        difference=None if verdict.mean is None else verdict.mean - cell.value,
        interval=interval(verdict),
        badge=BADGES[verdict.outcome],
        reason=short_reason(verdict),
    )

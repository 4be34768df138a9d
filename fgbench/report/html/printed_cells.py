"""Printed cells on the pages: rows of tables, cells without runs, and the deviations behind cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fgbench.judge.citations import counted_once
from fgbench.judge.external_verdicts import with_external
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.papers.printed import Cell
from fgbench.papers.tables import PrintedRow, Table
from fgbench.records.record import Deviation, Record
from fgbench.report.formatting import BADGES, Badge
from fgbench.report.html.pages import address


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Cells without a run that have the same outcome and reason."""

    badge: Badge
    reason: str
    cells_by_command: tuple[tuple[str, tuple[str, ...]], ...]
    """Commands, each with the cells that it measures or unblocks."""
    outcome: Outcome

    @property
    def cells(self) -> list[str]:
        """All cells of the group."""
        return [cell for _, cells in self.cells_by_command for cell in cells]


@dataclass(frozen=True, slots=True)
class DeviationEntry:
    """A deviation with the runs that have it and the cells that use these runs."""

    deviation: Deviation
    runs: tuple[str, ...]
    """Titles of the runs."""
    cells: tuple[str, ...]


def cell_anchor(cell: Cell) -> str:
    """Return the anchor of a cell in its table, on the page of its paper."""
    return f"at-{cell.id.replace('/', '-')}"


def details_anchor(verdict: Verdict) -> str:
    """Return the anchor of the details of a verdict, on the page of its paper."""
    external = verdict.records[0].external if verdict.records else None
    return f"cell-{verdict.cell.id.replace('/', '-')}" + (f"-{external.result}" if external else "")


def verdict_address(cell: Cell) -> str:
    """Return the link to the cell on the page of the paper in which it is judged."""
    paper, _, name = (cell.cites or f"{cell.paper}/{cell.id}").partition("/")
    return f"{address(paper)}#at-{name.replace('/', '-')}"


def cell_name(cell: Cell) -> str:
    """Return the row and the column of a cell."""
    return f"{cell.row}, {cell.column}"


def table_rows(table: Table, verdicts: Sequence[Verdict]) -> list[tuple[PrintedRow, list[Verdict | None]]]:
    """Return each row of a printed table with its verdicts; None stands for a cell that is not printed."""
    by_id = {verdict.cell.id: verdict for verdict in verdicts}
    return [(row, [by_id.get(f"{table.id}/{row.id}/{column.id}") for column in table.columns]) for row in table.rows]


def judged_verdicts(table: Table, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts on the cells of a table without the numbers of other groups and of other papers."""
    of_table = [verdict for verdict in verdicts if verdict.cell.id.startswith(f"{table.id}/")]
    return [verdict for verdict in counted_once(of_table) if verdict.outcome != Outcome.CONTEXT]


def measured_verdicts(table: Table, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts on the measured cells of a table, with those that other papers judge and external ones."""
    of_table = (verdict for verdict in verdicts if verdict.cell.id.startswith(f"{table.id}/"))
    return [verdict for verdict in with_external(of_table) if verdict.is_measured]


def cited_verdicts(table: Table, verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """Return the verdicts on the cells of a table that are judged in another paper, by the id of that paper."""
    by_paper: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.cell.cites and verdict.cell.id.startswith(f"{table.id}/"):
            by_paper.setdefault(verdict.cell.cites.partition("/")[0], []).append(verdict)
    return by_paper


def cells_without_runs(verdicts: Sequence[Verdict]) -> list[CellGroup]:
    """Group the cells without a run by outcome and reason."""
    groups: dict[tuple[Outcome, str], dict[str, list[str]]] = {}
    for verdict in verdicts:
        if not verdict.is_measured:
            cells_by_command = groups.setdefault((verdict.outcome, verdict.reason), {})
            cells_by_command.setdefault(verdict.command, []).append(cell_name(verdict.cell))
    return [
        CellGroup(
            BADGES[outcome],
            reason,
            tuple((command, tuple(cells)) for command, cells in by_command.items()),
            outcome,
        )
        for (outcome, reason), by_command in groups.items()
    ]


def group_of(verdict: Verdict, groups: Sequence[CellGroup]) -> int | None:
    """Return the place of the group of a cell without a run; None for a cell that is judged in another paper."""
    if verdict.cell.cites:
        return None
    keys = [(group.outcome, group.reason) for group in groups]
    return keys.index((verdict.outcome, verdict.reason))


def paper_deviations(verdicts: Sequence[Verdict]) -> list[DeviationEntry]:
    """Return every deviation of the runs behind the cells of a paper."""
    return _deviation_entries(
        (deviation, verdict.records[0].title, [f"{cell_name(verdict.cell)} ({verdict.cell.table})"])
        for verdict in verdicts
        for deviation in verdict.deviations
    )


def method_deviations(records: Iterable[Record], verdicts: Sequence[Verdict]) -> list[DeviationEntry]:
    """Return every deviation of the runs of a method.

    Args:
        records: runs of the method.
        verdicts: on the cells of the method.
    """
    cells: dict[str, list[str]] = {}
    for verdict in verdicts:
        for record in verdict.records:
            cells.setdefault(record.run_id, []).append(cell_name(verdict.cell))
    entries = _deviation_entries(
        (deviation, record.title, cells.get(record.run_id, [])) for record in records for deviation in record.deviations
    )
    return [DeviationEntry(e.deviation, tuple(sorted(e.runs)), tuple(sorted(e.cells))) for e in entries]


def _deviation_entries(uses: Iterable[tuple[Deviation, str, Sequence[str]]]) -> list[DeviationEntry]:
    """Join deviations with the same field and values, in the order of their fields.

    Args:
        uses: deviation, title of the run, and cells.
    """
    deviations: dict[tuple[str, str, str], Deviation] = {}
    runs: dict[tuple[str, str, str], dict[str, None]] = {}
    cells: dict[tuple[str, str, str], dict[str, None]] = {}
    for deviation, title, cell_names in uses:
        key = (deviation.field, str(deviation.recipe), str(deviation.run))
        deviations.setdefault(key, deviation)
        runs.setdefault(key, {})[title] = None
        cells.setdefault(key, {}).update(dict.fromkeys(cell_names))
    return [DeviationEntry(deviations[key], tuple(runs[key]), tuple(cells[key])) for key in sorted(deviations)]

"""Verdicts on numbers that one paper cites from another one: judged once, shown in both, counted once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fgbench.judge.protocol_diff import may_share_column
from fgbench.judge.verdict import Verdict
from fgbench.papers.printed import Cell, Paper
from fgbench.records.record import Record


def own_cells(paper: Paper, papers: Mapping[str, Paper]) -> list[Cell]:
    """Return the cells of a paper that are judged in it: those that it does not cite from another paper.

    Args:
        paper: the paper.
        papers: the judged papers, by id. A cell that is cited from a paper that is not among them is judged here.
    """
    return [cell for cell in paper.cells() if cell.cites.partition("/")[0] not in papers]


def with_citations(papers: Mapping[str, Paper], verdicts: Mapping[str, Sequence[Verdict]]) -> dict[str, list[Verdict]]:
    """Return the verdicts on all cells, in the order of the papers; a cited cell has the verdict of its source.

    Results from outside are shown with the source alone.

    Args:
        papers: by id.
        verdicts: on `own_cells`, by paper.
    """
    by_cell = {f"{name}/{verdict.cell.id}": verdict for name, of_paper in verdicts.items() for verdict in of_paper}
    return {name: _of_paper(paper, by_cell) for name, paper in papers.items()}


def _of_paper(paper: Paper, by_cell: Mapping[str, Verdict]) -> list[Verdict]:
    own = {cell.id: by_cell[f"{paper.id}/{cell.id}"] for cell in paper.cells() if f"{paper.id}/{cell.id}" in by_cell}
    # The protocol of each column: that of its own numbers, else of the first cited number.
    leaders: dict[str, Record] = {
        _column(cell_id): verdict.records[0] for cell_id, verdict in own.items() if verdict.mean is not None
    }
    verdicts = []
    for cell in paper.cells():
        verdict = own.get(cell.id) or replace(by_cell[cell.cites], cell=cell, external=())
        if verdict.mean is not None:
            leader = leaders.setdefault(_column(cell.id), verdict.records[0])
            if cell.id not in own and not may_share_column(leader, verdict.records[0]):
                # The verdict stays, but its number has another protocol than the column.
                verdict = replace(verdict, mean=None, sampling=None, spread=None, records=())
        verdicts.append(verdict)
    return verdicts


def _column(cell_id: str) -> str:
    table, _, column = cell_id.split("/")
    return f"{table}/{column}"


def counted_once(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts without those on numbers that are judged in another paper."""
    return [verdict for verdict in verdicts if not verdict.cell.cites]

"""Links between papers: cells that one paper cites from another one, and margins that papers share."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from fgbench.papers.margins import DerivedMargin
from fgbench.papers.tables import Column
from fgbench.util.errors import FgbenchError, nearest

if TYPE_CHECKING:
    from fgbench.papers.printed import Cell, Paper


def derived_margins(paper: "Paper", papers: Mapping[str, "Paper"]) -> dict[str, DerivedMargin]:
    """Return the derived margins that the columns and rows of a paper name, by that name.

    Args:
        paper: the paper.
        papers: all papers, by id.

    Raises:
        FgbenchError: there is no such margin, or it is of another metric.
    """
    known = {f"{other.id}/{name}": margin for other in papers.values() for name, margin in other.margins.items()}
    known |= paper.margins
    for table in paper.tables:
        for row in table.rows:
            for column, value in zip(table.columns, row.values, strict=True):
                name = row.margin_of(column)
                if isinstance(name, str):
                    _check_margin(f"{table.id}/{row.id}/{column.id}", name, known, column, value)
    return known


def _check_margin(cell: str, name: str, known: Mapping[str, DerivedMargin], column: Column, value: object) -> None:
    """Raise an error if a cell cannot have a derived margin."""
    if name not in known:
        raise FgbenchError(f"{cell}: no margin {name!r}; {nearest(name, known)}")
    if known[name].metric != column.metric or column.unit != "%":
        other = f"{known[name].metric} in %, not for {column.metric} in {column.unit}"
        raise FgbenchError(f"{cell}: the margin {name!r} is for {other}", "write a number")
    if value in {0, 100}:
        raise FgbenchError(f"{cell}: no margin can be derived for {value} %", "write a number")


def cited_cells(paper: "Paper", papers: Mapping[str, "Paper"]) -> dict[str, "Cell"]:
    """Return the cells that a paper cites from other papers, by the id of the citing cell.

    Args:
        paper: the paper.
        papers: all papers, by id; their margins are known.

    Raises:
        FgbenchError: a cited row or cell does not exist, is itself a citation, or has another value or unit.
    """
    cited: dict[str, Cell] = {}
    for table in paper.tables:
        for row in table.rows:
            if row.cites:
                where = f"{table.id}/{row.id}"
                source = _cited_row(where, row.cites, paper, papers)
                cited |= {
                    cell.id: _cited_cell(f"{where}: cites {row.cites!r}", cell, source)
                    for cell in paper.row_cells(table, row)
                }
    return cited


def _cited_row(where: str, cites: str, paper: "Paper", papers: Mapping[str, "Paper"]) -> list["Cell"]:
    """Return the cells of a cited row."""
    name = cites.partition("/")[0]
    if name not in papers or name == paper.id:
        others = [other for other in papers if other != paper.id]
        raise FgbenchError(f"{where}: cites {cites!r}, but {name!r} is no other paper; {nearest(name, others)}")
    other = papers[name]
    rows = {f"{name}/{table.id}/{row.id}": (table, row) for table in other.tables for row in table.rows}
    if cites not in rows:
        raise FgbenchError(f"{where}: cites {cites!r}, which does not exist; {nearest(cites, rows)}")
    table, row = rows[cites]
    if row.cites:
        raise FgbenchError(
            f"{where}: cites {cites!r}, which cites {row.cites!r}", "cite the first paper that printed it"
        )
    return other.row_cells(table, row)


def _cited_cell(where: str, cell: "Cell", row: list["Cell"]) -> "Cell":
    """Return the cell of a cited row that a cell repeats."""
    same = [other for other in row if (other.data, other.metric, other.params) == (cell.data, cell.metric, cell.params)]
    params = "".join(f", {name} = {value}" for name, value in cell.params)
    if not same:
        raise FgbenchError(f"{where}, which prints no number of {cell.metric} on {cell.data}{params}")
    # A table may print several numbers on one data set, such as without and with fine-tuning.
    equal = [other for other in same if (other.value, other.unit) == (cell.value, cell.unit)]
    if not equal:
        printed = " and ".join(f"{other.value:g} {other.unit}" for other in same)
        raise FgbenchError(
            f"{where}, which prints {printed} on {cell.data}, not {cell.value:g} {cell.unit}",
            "correct the number or remove the citation",
        )
    if len(equal) > 1:
        raise FgbenchError(
            f"{where}, which prints {len(equal)} equal numbers of {cell.metric} on {cell.data}{params}",
            "remove the citation",
        )
    return equal[0]


def as_citation(cell: "Cell", cited: "Cell") -> "Cell":
    """Return a citing cell with what it takes from the cited one, on which it is judged."""
    names = ("margin", "margin_from", "draws", "rounding", "train", "test", "recipe")
    return replace(cell, cites=f"{cited.paper}/{cited.id}", **{name: getattr(cited, name) for name in names})

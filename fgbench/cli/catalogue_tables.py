"""Tables of `fgbench list` for readers: one line a row, with what repeats counted once."""

from collections import Counter
from typing import Any

from fgbench.cli.console import is_wide, out, table
from fgbench.papers.printed import Paper
from fgbench.util.counted import counted

RUNS = "runs here"
"""Text of a row that can be run here."""
CITED = "judged as "
"""Beginning of the text of a row that another paper measured."""
NOT_HERE = " is not on this machine"
"""End of the sentence about a data set that is missing."""
Rows = list[dict[str, Any]]
"""Rows with the same keys."""


def show_catalogue(tables: dict[str, Rows], *, every: bool = False, paper: Paper | None = None) -> None:
    """Print tables of `fgbench.cli.catalogue`.

    Args:
        tables: kind -> rows.
        every: print every row and column as it is.
        paper: paper of the rows, whose cells are printed as in its tables; None for all papers.
    """
    for kind, rows in tables.items():
        if kind == "cells" and paper is not None and not every:
            for title, printed in _printed_tables(paper).items():
                table(title, printed)
            continue
        shown = {"rows": _rows, "cells": _cells, "recipes": _recipes, "values": _values, "runs": _runs}
        table(kind, rows if every or kind not in shown else shown[kind](rows))
        if not rows:
            out(f"no {kind}")
        elif kind == "rows" and not every:
            missing = [row for row in rows if row["runs"] != RUNS and not row["runs"].startswith(CITED)]
            show_missing([(row["runs"], row["get it by"]) for row in missing], "row")


def show_missing(missing: list[tuple[str, str]], what: str) -> None:
    """Print one line for each obstacle, with the number of rows that it concerns, most frequent first.

    Args:
        missing: for each row, its obstacle and the command that removes it, empty if there is none.
        what: name of a row, in the singular.
    """
    for (reason, command), number in Counter(missing).most_common():
        text = reason.removeprefix("data: ").removeprefix("weights: ")
        needed = text.removesuffix(NOT_HERE)
        need = "needs" if number == 1 else "need"
        problem = f" {need} {needed}" if needed != text else f": {text}"
        out(f"{counted(number, what)}{problem}{f': {command}' if command else ''}")


def _rows(rows: Rows) -> Rows:
    columns = ("paper", *(["table"] if is_wide() else []), "row", "data", "recipe")
    return [{name: row[name] for name in columns} | {"runs": _state(row)} for row in rows]


def _state(row: dict[str, Any]) -> bool | str:
    """Return whether a row runs here, or why it never does."""
    if row["runs"].startswith(CITED):
        return "cited"
    return row["runs"] == RUNS if row["recipe"] else "no recipe"


def _cells(rows: Rows) -> Rows:
    return [
        {
            "cell": f"{row['paper']}/{row['id']}",
            "printed": f"{row['value']:g} {row['unit']}",
            "margin": f"{row['margin']:g}",
            "recipe": row["recipe"],
        }
        for row in rows
    ]


def _printed_tables(paper: Paper) -> dict[str, Rows]:
    """Return the tables of a paper as it prints them: title -> a row for each printed row."""
    return {
        table.number: [
            {"": row.label} | {column.label: value for column, value in zip(table.columns, row.values, strict=True)}
            for row in table.rows
        ]
        for table in paper.tables
    }


def _values(rows: Rows) -> Rows:
    """Return each value once, with the number of recipes that take it from the same place."""
    keys = [(row["written in"], row["setting"], _text(row["value"])) for row in rows]
    recipes, once = Counter(keys), dict(zip(keys, rows, strict=True))
    return [
        {
            "setting": setting,
            "value": value,
            "origin": row["origin"],
            "source": row["source"] or "none",
            "recipes": recipes[place, setting, value],
            "written in": place,
        }
        for (place, setting, value), row in once.items()
    ]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _recipes(rows: Rows) -> Rows:
    """Return one row for recipes that differ in their data set alone."""
    data: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        data.setdefault((row["recipe"], row["method"], row["streams"]), []).append(row["data"])
    return [
        {"recipe": recipe, "data": ", ".join(names), "method": method} | ({"streams": streams} if is_wide() else {})
        for (recipe, method, streams), names in data.items()
    ]


def _runs(rows: Rows) -> Rows:
    return [row | {"finished": row["finished"][:16].replace("T", " ")} for row in rows]

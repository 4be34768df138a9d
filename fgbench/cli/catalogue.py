"""Tables of all papers, rows, cells, recipes, methods and data sets."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fgbench import datasets
from fgbench.datasets.obtain import is_here
from fgbench.papers.printed import Paper, load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.util.errors import FgbenchError, nearest

KINDS = ("papers", "rows", "cells", "recipes", "methods", "data")
"""Names of the tables."""


def catalogue(kind: str) -> dict[str, list[dict[str, Any]]]:
    """Return tables of plain values.

    Args:
        kind: one of `KINDS`, or `all` for all except `cells`.

    Returns:
        Kind -> rows.

    Raises:
        FgbenchError: an unknown kind.
    """
    if kind != "all" and kind not in KINDS:
        raise FgbenchError(f"no kind named {kind!r}; {nearest(kind, [*KINDS, 'all'])}")
    papers = load_papers()
    tables: dict[str, list[dict[str, Any]]] = {}
    if kind in {"papers", "all"}:
        tables["papers"] = [
            {"id": p.id, "version": p.version, "title": p.title, "year": p.year, "cells": len(p.cells())}
            for p in papers.values()
        ]
    if kind in {"rows", "all"}:
        tables["rows"] = _rows(papers)
    if kind == "cells":
        tables["cells"] = [asdict(cell) | {"params": dict(cell.params)} for p in papers.values() for cell in p.cells()]
    if kind in {"recipes", "all"}:
        tables["recipes"] = [
            {"recipe": r.name, "data": r.settings.data, "method": r.method, "streams": " x ".join(r.settings.backbones)}
            for r in load_recipes().values()
        ]
    if kind in {"methods", "all"}:
        from fgbench.methods import methods

        tables["methods"] = [{"method": name, "what": _first_line(methods[name].__doc__)} for name in methods]
    if kind in {"data", "all"}:
        tables["data"] = [
            {"data": name, "title": datasets.find(name).title, "here": is_here(name)} for name in datasets.names()
        ]
    return tables


def _rows(papers: Mapping[str, Paper]) -> list[dict[str, Any]]:
    """Return every row of every printed table, once for each data set, with its recipe or why it cannot run here."""
    from fgbench.judge.verdict import judge
    from fgbench.runs.planning import obstacles

    recipes = load_recipes()
    missing = obstacles(list(recipes.values()))
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for paper in papers.values():
        for cell in paper.cells():
            verdict = judge(cell, [], missing, recipes)
            reason = verdict.reason.partition(" (")[0]  # the rest lists the folders that were searched
            runs = "runs here" if verdict.command.startswith("fgbench run") else reason
            runs = f"judged as {cell.cites}" if cell.cites else runs
            row = {"paper": paper.id, "table": cell.table, "row": cell.row, "data": cell.data, "recipe": cell.recipe}
            rows.setdefault((*row.values(), runs), row | {"runs": runs, "get it by": verdict.command})
    return list(rows.values())


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]

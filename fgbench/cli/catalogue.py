"""Tables of all papers, rows, cells, recipes, methods and data sets."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fgbench import datasets
from fgbench.cli.catalogue_tables import CITED, RUNS
from fgbench.cli.found_runs import run_ids
from fgbench.cli.options import existing
from fgbench.datasets.obtain import is_here
from fgbench.metrics.values import headline
from fgbench.papers.printed import Paper, load_papers
from fgbench.papers.recipes import Recipe, flatten, load_recipes
from fgbench.papers.value_sources import sources_of
from fgbench.records.store import store_of
from fgbench.util.errors import FgbenchError, nearest

KINDS = ("papers", "rows", "cells", "recipes", "values", "methods", "data", "runs")
"""Names of the tables."""


OWN_IMAGES = {
    "data": "imagefolder:PATH",
    "title": "images of your own",
    "here": True,
    "get it by": "fgbench data check imagefolder:PATH",
}
"""Row of the images of the user."""


def catalogue(kind: str, results: Path, paper: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return tables of plain values.

    Args:
        kind: one of `KINDS`, or `all` for all except `cells`, `values` and `runs`.
        results: results folder, for `runs`.
        paper: paper of the rows, cells, recipes and values; None for all papers.

    Returns:
        Kind -> rows.

    Raises:
        FgbenchError: an unknown kind or paper, or no results folder.
    """
    if kind != "all" and kind not in KINDS:
        raise FgbenchError(f"no kind named {kind!r}; {nearest(kind, [*KINDS, 'all'])}", "fgbench list")
    papers = load_papers()
    if paper is not None and kind in {"methods", "data", "runs", "all"}:
        raise FgbenchError(f"{kind} are not of one paper", f"fgbench list {kind}")
    if paper is not None and paper not in papers:
        raise FgbenchError(f"no paper named {paper!r}; {nearest(paper, papers)}", "fgbench list papers")
    papers = {name: of_name for name, of_name in papers.items() if paper in {None, name}}
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
            if r.paper in papers
        ]
    if kind == "values":
        tables["values"] = [row for r in load_recipes().values() if r.paper in papers for row in _values(r)]
    if kind in {"methods", "all"}:
        from fgbench.methods import methods

        tables["methods"] = [{"method": name, "what": _first_line(methods[name].__doc__)} for name in methods]
    if kind in {"data", "all"}:
        tables["data"] = [*map(_data_set, datasets.names()), OWN_IMAGES]
    if kind == "runs":
        tables["runs"] = _runs(results)
    return tables


def _values(recipe: Recipe) -> list[dict[str, Any]]:
    """Return every value of a recipe with its origin, the sentence that says it, and where it is written."""
    values, sentences = flatten(recipe.settings.model_dump(mode="json")), sources_of(recipe)
    return [
        {
            "recipe": recipe.key,
            "setting": setting,
            "value": values.get(setting),
            "origin": recipe.origins[setting],
            "source": sentences[setting],
            "written in": place,
        }
        for setting, place in recipe.places.items()
    ]


def _data_set(name: str) -> dict[str, Any]:
    """Return a data set, whether it is here, and the command that gets it."""
    dataset = datasets.find(name)
    here = is_here(name)
    command = "" if here else f"fgbench data get {name}"
    by_hand = command and dataset.archive and not dataset.archive.url
    return {
        "data": name,
        "title": dataset.title,
        "here": here,
        "get it by": f"by hand: {command}" if by_hand else command,
    }


def _runs(results: Path) -> list[dict[str, Any]]:
    """Return every run of a results folder, finished or not."""
    store = store_of(results)
    rows = []
    for run_id in run_ids(existing(results)):
        row: dict[str, Any] = {
            "run": run_id,
            "title": "not finished",
            "profile": "",
            "seed": "",
            "measured": "",
            "finished": "",
        }
        if store.has(run_id):
            try:
                record = store.read(run_id)
            except FgbenchError as error:
                row["title"] = str(error.args[0])
            else:
                name = headline(record.values)
                row |= {
                    "title": record.title,
                    "profile": record.profile,
                    "seed": record.seed,
                    "measured": f"{name} {record.values[name].value:.2f} {record.values[name].unit}",
                    "finished": record.provenance.get("finished", ""),
                }
        rows.append(row)
    return rows


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
            runs = RUNS if verdict.command.startswith("fgbench run") else reason
            runs = f"{CITED}{cell.cites}" if cell.cites else runs
            row = {"paper": paper.id, "table": cell.table, "row": cell.row, "data": cell.data, "recipe": cell.recipe}
            rows.setdefault((*row.values(), runs), row | {"runs": runs, "get it by": verdict.command})
    return list(rows.values())


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]

"""Names that the shell completes. torch is not imported, and an error completes nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from fgbench.util.errors import FgbenchError

PROFILES = ("auto", "quick", "frozen", "paper")
KINDS = ("papers", "rows", "cells", "recipes", "values", "methods", "data", "runs", "all")
TABLES = (
    "values",
    "runs",
    "answers",
    "outcomes",
    "curves",
    "phases",
    "differences",
    "effects",
    "verdicts",
    "cells",
    "predictions",
    "keypoints",
)


def profiles(incomplete: str) -> list[str]:
    """Return the profiles that begin so."""
    return _begin(lambda: PROFILES, incomplete)


def kinds(incomplete: str) -> list[str]:
    """Return the kinds of `fgbench list` that begin so."""
    return _begin(lambda: KINDS, incomplete)


def papers(incomplete: str) -> list[str]:
    """Return the papers that begin so."""
    return _begin(_papers, incomplete)


def tables(incomplete: str) -> list[str]:
    """Return the tables of `fgbench export`, and the papers, that begin so."""
    return _begin(lambda: (*TABLES, *_papers()), incomplete)


def recipes(incomplete: str) -> list[str]:
    """Return the names of recipes that begin so."""
    return _begin(_recipe_names, incomplete)


def cells(incomplete: str) -> list[str]:
    """Return the names of printed cells that begin so."""
    return _begin(_cells, incomplete)


def groups(incomplete: str) -> list[str]:
    """Return the data sets with recipes, and the group of re-identification, that begin so."""
    return _begin(lambda: ["reid", *_recipe_data()], incomplete)


def data_sets(incomplete: str) -> list[str]:
    """Return the data sets that begin so."""
    return _begin(_data_names, incomplete)


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the runs that begin so, of the results folder that has been typed, or of the default one."""
    folder = Path(ctx.params.get("results") or "runs").expanduser()
    return _begin(
        lambda: [path.stem for path in (*folder.glob("records/[!.]*.json"), *folder.glob("logs/[!.]*.log"))], incomplete
    )


def anything(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the recipes, cells and runs that begin so."""
    return [*recipes(incomplete), *cells(incomplete), *runs(ctx, incomplete)]


def _begin(names: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return sorted({name for name in names() if name.startswith(incomplete)})
    except (FgbenchError, OSError):
        return []


def _papers() -> Iterable[str]:
    from fgbench.papers.printed import load_papers

    return load_papers()


def _cells() -> list[str]:
    from fgbench.papers.printed import load_papers

    return [f"{paper.id}/{cell.id}" for paper in load_papers().values() for cell in paper.cells()]


def _recipe_names() -> list[str]:
    from fgbench.papers.recipes import load_recipes

    return [recipe.name for recipe in load_recipes().values()]


def _recipe_data() -> list[str]:
    from fgbench.papers.recipes import load_recipes

    return [recipe.settings.data for recipe in load_recipes().values()]


def _data_names() -> list[str]:
    from fgbench import datasets

    return datasets.names()

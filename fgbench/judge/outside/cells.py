"""The printed cells that predictions from outside can answer."""

from collections.abc import Mapping
from typing import NamedTuple

from fgbench.judge.outside.columns import Task
from fgbench.judge.verdict import MEASURED, recipe_key
from fgbench.papers.printed import Cell, Paper, load_papers
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.util.errors import FgbenchError, nearest

TASKS: Mapping[str, Task] = {
    "accuracy": "classes", "class_map": "classes", "pck": "keypoints", "pcp": "keypoints", "cmc": "search",
    "map": "search",
}  # fmt: skip
"""Metric of a cell -> what it asks for each test image."""
LIST = "fgbench list cells"


class AskedCell(NamedTuple):
    """A printed cell with the recipe that fixes its protocol."""

    cell: Cell
    recipe: Recipe
    task: Task


def asked_cell(name: str) -> AskedCell:
    """Return a printed cell that predictions can answer.

    Args:
        name: `<paper>/<table>/<row>/<column>`, such as `bcnn/t1/bcnn_dd/birds`.

    Raises:
        FgbenchError: there is no such cell, or predictions do not answer it.
    """
    papers = load_papers()
    cells = {f"{paper.id}/{cell.id}": cell for paper in papers.values() for cell in paper.cells()}
    if name not in cells:
        raise _no_cell(name, cells, papers)
    cell, recipes = cells[name], load_recipes()
    if cell.cites:
        raise FgbenchError(f"{name} repeats a number of another paper, where it is judged", f"--cell {cell.cites}")
    if cell.metric not in MEASURED:
        raise FgbenchError(f"{name} is a number of {cell.metric}, which no predictions give", LIST)
    if not cell.recipe or recipe_key(cell) not in recipes:
        raise FgbenchError(f"this version of fgbench has no recipe for {name}, so its protocol is not known", LIST)
    return AskedCell(cell, recipes[recipe_key(cell)], TASKS[cell.metric])


def _no_cell(name: str, cells: Mapping[str, Cell], papers: Mapping[str, Paper]) -> FgbenchError:
    paper, _, rest = name.partition("/")
    if paper in papers and rest in {claim.id for claim in papers[paper].claims}:
        return FgbenchError(f"{name} is a claim on an order of methods, not a printed number", LIST)
    return FgbenchError(f"no cell named {name!r}; {_near(name, cells)}", LIST)


def _near(name: str, cells: Mapping[str, Cell]) -> str:
    """Return a clause with the most similar cell; the form of a name if none is similar."""
    text = nearest(name, cells)
    return text if text.startswith("did") else "a cell is named PAPER/TABLE/ROW/COLUMN"

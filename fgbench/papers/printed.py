"""The tables and claims that the papers print, read from `reproductions/*/paper.toml`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from fgbench.papers.field_types import Metric, Params, check_params, check_unique
from fgbench.papers.links import as_citation, cited_cells, derived_margins
from fgbench.papers.margins import DerivedMargin
from fgbench.papers.tables import Column, PrintedRow, Table
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.json_toml import read_toml
from fgbench.util.validation import StrictModel, explain


class Claim(StrictModel):
    """An order of methods that a paper states."""

    id: str
    text: str
    source: str
    """Key in `Paper.sources`."""
    data: str
    """Name of the data set."""
    metric: Metric
    params: Params = {}
    """Parameters of the metric."""
    order: tuple[str, ...] = Field(min_length=2)
    """Recipes, best first."""
    across: tuple[Literal["train_sees", "test_sees"], ...] = ()
    """Protocol fields in which the compared runs may differ, because the claim is about this difference."""
    devices: tuple[str, ...] = ()
    """For frames per second: names by which the device of the paper calls itself, without `NVIDIA`."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number printed in a paper."""

    paper: str
    """Id of the paper."""
    version: str
    """Version of the paper."""
    id: str
    """`<table>/<row>/<column>`."""
    table: str
    """Printed number of the table."""
    row: str
    """Printed label of the row."""
    column: str
    """Printed label of the column."""
    data: str
    """Name of the data set."""
    metric: str
    """Name of the metric, such as `accuracy`."""
    params: tuple[tuple[str, str | int | float], ...]
    """Parameters of the metric, such as the rank of a CMC value."""
    value: float
    """Printed value, in `unit`."""
    rounding: float
    """Largest error of `value` from rounding: half a unit of its last digit in the file (84.0 is not 84)."""
    unit: str
    margin: float
    """Largest difference, in `unit`, at which a measured value counts as equal to the printed one."""
    margin_from: str
    """`<paper>/<name>` of the margin in `Paper.margins` from which `margin` is derived; empty if it was chosen."""
    device: str
    """For frames per second: the device, as the paper names it; empty for other numbers, and without a name."""
    devices: tuple[str, ...]
    """Names by which this device calls itself, without `NVIDIA`."""
    device_tflop_per_s: float | None
    """Peak of the device in single precision; None if it is not known."""
    draws: int
    """Number of random splits of the authors over which the value is averaged; 0 for the official split."""
    train: tuple[str, ...]
    """Annotations beyond class labels that training uses."""
    test: tuple[str, ...]
    """Annotations beyond class labels that testing uses."""
    role: str
    """`method`, `baseline` or `context`; see `PrintedRow.role`."""
    recipe: str
    """`<paper>/<recipe>` that reproduces the cell on `data`; empty if there is none."""
    cites: str
    """`<paper>/<table>/<row>/<column>` of the cell of another paper that this cell repeats; empty for most cells.

    The number is judged in the other paper, with its recipe, annotations and margin.
    """
    source: str
    """Document and place where the number is printed."""
    note: str
    """A reason for caution about the number; usually empty."""


class Paper(StrictModel):
    """One paper: its bibliographic data, printed tables and claims."""

    id: str
    version: str
    title: str
    authors: tuple[str, ...]
    venue: str
    year: int = Field(strict=True)
    url: str
    sources: dict[str, str]
    """Document and place by key."""
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...] = ()
    margins: dict[str, DerivedMargin] = {}
    """Derived margins by name."""
    _margins: dict[str, DerivedMargin] = PrivateAttr(default_factory=dict)
    """Derived margins of all papers, by the names that this paper uses; filled by `load_papers`."""
    _cited: dict[str, Cell] = PrivateAttr(default_factory=dict)
    """Cells of other papers, by the id of the cell that cites them; filled by `load_papers`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_unique("table", [table.id for table in self.tables])
        check_unique("claim", [claim.id for claim in self.claims])
        used_sources = {claim.source for claim in self.claims}
        for claim in self.claims:
            check_unique(f"recipe in the order of claim {claim.id}", list(claim.order))
            check_params(f"claim {claim.id}", claim.metric, claim.params)
        for table in self.tables:
            used_sources |= {table.source, *(row.source for row in table.rows if row.source)}
        if missing := sorted(used_sources - set(self.sources)):
            raise ValueError(f"no source {missing[0]!r} in [sources]; {nearest(missing[0], self.sources)}")
        return self

    def cells(self) -> tuple[Cell, ...]:
        """Return every printed number, in the order of the tables."""
        cells = [cell for table in self.tables for row in table.rows for cell in self.row_cells(table, row)]
        return tuple(as_citation(cell, self._cited[cell.id]) if cell.id in self._cited else cell for cell in cells)

    def row_cells(self, table: Table, row: PrintedRow) -> list[Cell]:
        """Return the printed numbers of a row, without what a citation takes from another paper."""
        values = zip(table.columns, row.values, strict=True)
        return [self._cell(table, row, column, value) for column, value in values if value != "-"]

    def _cell(self, table: Table, row: PrintedRow, column: Column, value: float) -> Cell:
        margin = row.margin_of(column)
        return Cell(
            paper=self.id,
            version=row.version or self.version,
            id=f"{table.id}/{row.id}/{column.id}",
            table=table.number,
            row=row.label,
            column=column.label,
            data=column.data,
            metric=column.metric,
            params=tuple(sorted({**column.params, **row.params}.items())),
            value=float(value),
            rounding=0.5 / 10 ** len(str(value).partition(".")[2]),
            unit=column.unit,
            margin=self._margins[margin].at(value) if isinstance(margin, str) else margin,
            margin_from=(margin if "/" in margin else f"{self.id}/{margin}") if isinstance(margin, str) else "",
            device=row.device or column.device,
            devices=() if row.device else column.devices,
            device_tflop_per_s=None if row.device else column.device_tflop_per_s,
            draws=column.draws,
            train=tuple(dict.fromkeys((*column.train, *row.train))),
            test=tuple(dict.fromkeys((*column.test, *row.test))),
            role=row.role,
            recipe=row.recipes.get(column.id, row.recipe),
            cites="",
            source=self.sources[row.source or table.source],
            note=row.note,
        )


def reproductions_root() -> Path:
    """Return the folder of papers and recipes.

    It is FGBENCH_REPRODUCTIONS if that is set; else `reproductions` of the checkout, or its copy in the installed
    package.

    Raises:
        FgbenchError: No such folder holds papers.
    """
    package = Path(__file__).parents[1]
    if user_folder := os.environ.get("FGBENCH_REPRODUCTIONS"):
        folders = [Path(user_folder)]
    else:
        folders = [package.parent / "reproductions", package / "_reproductions"]
    for folder in folders:
        if any(folder.glob("*/*.toml")):
            return folder
    raise FgbenchError(
        f"no papers in {' or '.join(map(str, folders))}", "set FGBENCH_REPRODUCTIONS to a folder of papers"
    )


def load_papers(root: Path | None = None) -> dict[str, Paper]:
    """Return every paper by id.

    Args:
        root: Folder of papers; None for `reproductions_root()`.

    Raises:
        FgbenchError: A file is not valid. The message names the file, the field and the nearest known field.
    """
    folder, papers = root or reproductions_root(), {}
    for path in sorted(folder.glob("*/paper.toml")):
        paper = _load(path)
        if paper.id != path.parent.name:
            raise FgbenchError(f"{path}: the id {paper.id!r} differs from the name of the folder, {path.parent.name!r}")
        papers[paper.id] = paper
    # Margins before citations, because a citing cell takes the margin of the cited one.
    for paper in papers.values():
        with _named(folder / paper.id / "paper.toml"):
            paper._margins = derived_margins(paper, papers)
    for paper in papers.values():
        with _named(folder / paper.id / "paper.toml"):
            paper._cited = cited_cells(paper, papers)
    return papers


def _load(path: Path) -> Paper:
    content = read_toml(path)
    try:
        return Paper.model_validate(content)
    except ValidationError as error:
        raise FgbenchError(f"{path}: {explain(error, Paper)}") from error


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the name of a file before the message of an error."""
    try:
        yield
    except FgbenchError as error:
        raise FgbenchError(f"{path}: {error.args[0]}", error.hint) from error

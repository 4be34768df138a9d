"""The tables and claims that the papers print, read from `reproductions/*/paper.toml`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, ValidationError, model_validator

from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.json_toml import read_toml
from fgbench.util.validation import StrictModel, explain

class Column(StrictModel):
    """A column of a printed table."""

    id: str
    label: str
    """Printed heading."""
    data: str
    """Name of the data set."""
    metric: Metric
    unit: str
    margin: Margin
    """Largest difference, in `unit`, at which a measured value counts as equal; fixed before any run."""
    params: Params = {}
    """Parameters of the metric."""
    draws: int = Field(default=0, ge=0, strict=True)
    """Number of random splits of the authors over which the numbers are averaged; 0 for the official split."""


class PrintedRow(StrictModel):
    """A row of a printed table."""

    id: str
    label: str
    """Printed name of the row."""
    role: Literal["method", "baseline", "context"]
    """`method`: proposed by the paper. `baseline`: another method with a recipe here. `context`: without a recipe."""
    values: tuple[Printed, ...]
    """One value for each column; `-` where the paper prints nothing."""
    train: tuple[Annotation, ...] = ()
    """Annotations beyond class labels that training uses."""
    test: tuple[Annotation, ...] = ()
    """Annotations beyond class labels that testing uses."""
    recipe: str = ""
    """`<paper>/<recipe>` that reproduces the row."""
    source: str = ""
    """Key in `Paper.sources`; empty for the source of the table."""
    version: str = ""
    """Version of the paper; empty for that of the paper's file."""
    note: str = ""
    """A reason for caution about the numbers."""
    margin: Margin | None = None
    """Replaces the margin of every column."""
    params: Params = {}
    """Parameters of the metric, in addition to those of the column or instead of them."""


class Table(StrictModel):
    """A printed table."""

    id: str
    number: str
    """Printed number, such as `Table 1`."""
    caption: str
    source: str
    """Key in `Paper.sources`."""
    columns: tuple[Column, ...]
    rows: tuple[PrintedRow, ...]


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
    """Largest error of `value` from rounding: half a unit of its last digit. Write 84.0, not 84, where 84.0 is printed."""
    unit: str
    margin: float
    """Largest difference, in `unit`, at which a measured value counts as equal to the printed one."""
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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_unique("table", [table.id for table in self.tables])
        check_unique("claim", [claim.id for claim in self.claims])
        used_sources = {claim.source for claim in self.claims}
        for claim in self.claims:
            check_unique(f"recipe in the order of claim {claim.id}", list(claim.order))
            check_params(f"claim {claim.id}", claim.metric, claim.params)
        for table in self.tables:
            check_unique(f"column of {table.id}", [column.id for column in table.columns])
            check_unique(f"row of {table.id}", [row.id for row in table.rows])
            used_sources |= {table.source, *(row.source for row in table.rows if row.source)}
            for row in table.rows:
                _check_values(table, row)
        if missing := sorted(used_sources - set(self.sources)):
            raise ValueError(f"no source {missing[0]!r} in [sources]; {nearest(missing[0], self.sources)}")
        return self

    def cells(self) -> tuple[Cell, ...]:
        """Return every printed number, in the order of the tables."""
        return tuple(self._cells())

    def _cells(self) -> Iterator[Cell]:
        for table in self.tables:
            for row in table.rows:
                for column, value in zip(table.columns, row.values, strict=True):
                    if value == "-":
                        continue
                    yield Cell(
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
                        margin=row.margin or column.margin,
                        draws=column.draws,
                        train=tuple(row.train),
                        test=tuple(row.test),
                        role=row.role,
                        recipe=row.recipe,
                        source=self.sources[row.source or table.source],
                        note=row.note,
                    )


def _check_values(table: Table, row: PrintedRow) -> None:
    if len(row.values) != len(table.columns):
        raise ValueError(f"row {row.id!r} of {table.id} has {len(row.values)} values for {len(table.columns)} columns")
    for column, value in zip(table.columns, row.values, strict=True):
        if value == "-":
            continue
        cell = f"{table.id}/{row.id}/{column.id}"
        if not 0 <= value < float("inf") or (column.unit == "%" and value > 100):
            raise ValueError(f"{cell}: {value} {column.unit} is not a possible value")
        check_params(cell, column.metric, {**column.params, **row.params})


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
    papers = {}
    for path in sorted((root or reproductions_root()).glob("*/paper.toml")):
        paper = _load(path)
        if paper.id != path.parent.name:
            raise FgbenchError(f"{path}: the id {paper.id!r} differs from the name of the folder, {path.parent.name!r}")
        papers[paper.id] = paper
    return papers


def _load(path: Path) -> Paper:
    content = read_toml(path)
    try:
        return Paper.model_validate(content)
    except ValidationError as error:
        raise FgbenchError(f"{path}: {explain(error, Paper)}") from error

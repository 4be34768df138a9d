"""What the papers print: tables, cell by cell, and the orders they claim, read from `reproductions/*/paper.toml`."""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.validation import explain

Annotation = Literal["boxes", "parts"]
Metric = Literal["accuracy", "cmc", "map", "pck", "pcp", "fps"]

_PARAMS: dict[str, set[str]] = {"cmc": {"rank"}, "pck": {"alpha", "part"}, "pcp": {"part"}}
"""What a metric needs to be told beside the data set; the others need nothing."""


def _printed(value: object) -> object:
    # Not left to pydantic, which would take "84.1" and true for numbers.
    if value == "-" or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError(f"neither a number nor '-' (got {value!r})")


def _param(value: object) -> object:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f"neither a number nor a word (got {value!r})")


Printed = Annotated[float | Literal["-"], PlainValidator(_printed)]
Margin = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Params = dict[str, Annotated[str | int | float, PlainValidator(_param)]]


class Model(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Model):
    """A column of a table."""

    id: str
    label: str
    data: str
    """Data set."""
    metric: Metric
    unit: str
    margin: Margin
    """Half-width inside which a measured value counts as the printed one; fixed before any run."""
    params: Params = {}
    draws: int = Field(default=0, ge=0, strict=True)
    """Random divisions of the data, drawn by the authors, that the printed numbers are means over; 0 where they were
    measured on the test images that everybody uses."""


class Row(Model):
    """A row of a table."""

    id: str
    label: str
    role: Literal["method", "baseline", "context"]
    """Proposed by the paper, measured against and ours to run, or another group's number that nobody here runs."""
    values: tuple[Printed, ...]
    """One a column; `-` where the paper prints nothing."""
    train: tuple[Annotation, ...] = ()
    test: tuple[Annotation, ...] = ()
    recipe: str = ""
    """`<paper>/<recipe>` that gets the row."""
    source: str = ""
    version: str = ""
    note: str = ""
    margin: Margin | None = None
    params: Params = {}


class Table(Model):
    """A table as printed."""

    id: str
    number: str
    caption: str
    source: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


class Claim(Model):
    """An order between methods that a paper states."""

    id: str
    text: str
    source: str
    data: str
    metric: Metric
    params: Params = {}
    order: tuple[str, ...] = Field(min_length=2)
    """Recipes, the best first."""
    across: tuple[Literal["train_sees", "test_sees"], ...] = ()
    """Fields of the protocol in which its sides may differ, as the claim is about just that."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number printed in a paper."""

    paper: str
    """Its id."""
    version: str
    """The version of the paper it was read in."""
    id: str
    """`<table>/<row>/<column>`."""
    table: str
    """The table's printed number."""
    row: str
    """The row's printed label."""
    column: str
    """The column's printed label."""
    data: str
    """Data set."""
    metric: str
    """What was measured, such as `accuracy`."""
    params: tuple[tuple[str, str | int | float], ...]
    """Parameters of the metric, such as the rank of a CMC value."""
    value: float
    """As printed, in `unit`."""
    unit: str
    margin: float
    """Half-width, in `unit`, inside which a measured value counts as the printed one."""
    draws: int
    """Random divisions, drawn by the authors, that the printed value is a mean over; 0 for the usual test images."""
    train: tuple[str, ...]
    """Annotations beyond class labels that its protocol uses in training."""
    test: tuple[str, ...]
    """The same in test."""
    role: str
    """`method`, `baseline` or `context`."""
    recipe: str
    """`<paper>/<recipe>` that gets it on `data`; empty when nothing does."""
    source: str
    """What was read, and where."""
    note: str
    """What to know before believing the number; mostly empty."""


class Paper(Model):
    """One paper."""

    id: str
    version: str
    title: str
    authors: tuple[str, ...]
    venue: str
    year: int = Field(strict=True)
    url: str
    sources: dict[str, str]
    """Key -> what was read, and where."""
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _unique("table", [table.id for table in self.tables])
        _unique("claim", [claim.id for claim in self.claims])
        used = {claim.source for claim in self.claims}
        for claim in self.claims:
            _unique(f"recipe in the order of claim {claim.id}", list(claim.order))
            _check_params(f"claim {claim.id}", claim.metric, claim.params)
        for table in self.tables:
            _unique(f"column of {table.id}", [column.id for column in table.columns])
            _unique(f"row of {table.id}", [row.id for row in table.rows])
            used |= {table.source, *(row.source for row in table.rows if row.source)}
            for row in table.rows:
                _check_values(table, row)
        if lacking := sorted(used - set(self.sources)):
            raise ValueError(f"no source {lacking[0]!r} in [sources]; {nearest(lacking[0], self.sources)}")
        return self

    def cells(self) -> tuple[Cell, ...]:
        """Every printed number, in the order of the tables."""
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


def _unique(kind: str, ids: list[str]) -> None:
    for name in ids:
        if ids.count(name) > 1:
            raise ValueError(f"more than one {kind} is called {name!r}")


def _check_values(table: Table, row: Row) -> None:
    if len(row.values) != len(table.columns):
        raise ValueError(f"row {row.id!r} of {table.id} has {len(row.values)} values for {len(table.columns)} columns")
    for column, value in zip(table.columns, row.values, strict=True):
        if value == "-":
            continue
        if not 0 <= value < float("inf") or (column.unit == "%" and value > 100):
            raise ValueError(f"{table.id}/{row.id}/{column.id}: {value} {column.unit} cannot be")
        _check_params(f"{table.id}/{row.id}/{column.id}", column.metric, {**column.params, **row.params})


def _check_params(cell: str, metric: str, params: Params) -> None:
    needed = _PARAMS.get(metric, set())
    if unknown := sorted(set(params) - needed):
        raise ValueError(f"{cell}: {metric} has no parameter {unknown[0]!r}; {nearest(unknown[0], needed)}")
    if lacking := sorted(needed - set(params)):
        raise ValueError(f"{cell}: {metric} needs the parameter {lacking[0]!r}")


def reproductions_root() -> Path:
    """The folder of papers and recipes: FGBENCH_REPRODUCTIONS, the checkout's, or the installed package's.

    Raises:
        FgbenchError: there is none.
    """
    package = Path(__file__).parents[1]
    if named := os.environ.get("FGBENCH_REPRODUCTIONS"):
        places = [Path(named)]
    else:
        places = [package.parent / "reproductions", package / "_reproductions"]
    for place in places:
        if any(place.glob("*/*.toml")):
            return place
    raise FgbenchError(
        f"no papers under {' or '.join(map(str, places))}", "point FGBENCH_REPRODUCTIONS at a folder of papers"
    )


def load_papers(root: Path | None = None) -> dict[str, Paper]:
    """Every paper by id.

    Raises:
        FgbenchError: a file does not parse or does not fit; names the file, the field, the nearest known field.
    """
    papers = {}
    for path in sorted((root or reproductions_root()).glob("*/paper.toml")):
        paper = _load(path)
        if paper.id != path.parent.name:
            raise FgbenchError(f"{path}: id {paper.id!r} is not the folder's name {path.parent.name!r}")
        papers[paper.id] = paper
    return papers


def _load(path: Path) -> Paper:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FgbenchError(f"{path}: {error}") from error
    try:
        return Paper.model_validate(content)
    except ValidationError as error:
        raise FgbenchError(f"{path}: {explain(error, Paper)}") from error

"""Printed tables as they stand in `paper.toml`: columns and rows."""

from typing import Literal, Self

from pydantic import Field, model_validator

from fgbench.papers.field_types import Annotation, Margin, Metric, Params, Printed, check_params, check_unique
from fgbench.util.errors import nearest
from fgbench.util.validation import StrictModel


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
    """Largest difference, in `unit`, at which a measured value counts as equal: a number that is chosen before any run,
    or the name of a margin that is derived."""
    params: Params = {}
    """Parameters of the metric."""
    device: str = ""
    """For frames per second: the device, as the paper names it; empty if it does not name one."""
    devices: tuple[str, ...] = ()
    """Names by which this device calls itself, without `NVIDIA`; empty if the paper does not say which card it is."""
    device_tflop_per_s: float | None = Field(default=None, gt=0)
    """Peak of the device in single precision, from the data sheet of its maker; None if it is not known."""
    draws: int = Field(default=0, ge=0, strict=True)
    """Number of random splits of the authors over which the numbers are averaged; 0 for the official split."""
    train: tuple[Annotation, ...] = ()
    """Annotations beyond class labels that training uses for every number of the column."""
    test: tuple[Annotation, ...] = ()
    """Annotations beyond class labels that testing uses for every number of the column."""


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
    recipes: dict[str, str] = {}
    """The recipes of columns that another recipe reproduces, by the id of the column."""
    device: str = ""
    """For frames per second: the device of this row, if it is not that of the column. `CPU` stands for any CPU."""
    cites: str = ""
    """`<paper>/<table>/<row>` of another paper whose numbers the row repeats; they are judged there."""
    source: str = ""
    """Key in `Paper.sources`; empty for the source of the table."""
    version: str = ""
    """Version of the paper; empty for that of the paper's file."""
    note: str = ""
    """A reason for caution about the numbers."""
    margin: Margin | None = None
    """Replaces the margin of every column."""
    margins: dict[str, Margin] = {}
    """Replaces the margin of columns, by the id of the column."""
    params: Params = {}
    """Parameters of the metric, in addition to those of the column or instead of them."""

    def margin_of(self, column: Column) -> Margin:
        """Return the margin of the number of a column."""
        return self.margins.get(column.id) or self.margin or column.margin


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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_unique(f"column of {self.id}", [column.id for column in self.columns])
        check_unique(f"row of {self.id}", [row.id for row in self.rows])
        columns = [column.id for column in self.columns]
        for row in self.rows:
            _check_values(self, row)
            if unknown := [name for name in (*row.recipes, *row.margins) if name not in columns]:
                raise ValueError(
                    f"row {row.id!r} of {self.id}: no column {unknown[0]!r}; {nearest(unknown[0], columns)}"
                )
            if row.cites and (row.recipe or row.recipes or row.train or row.test or row.margin or row.margins):
                raise ValueError(
                    f"row {row.id!r} of {self.id} cites another row, so it has no recipe, annotations or margin"
                )
        return self


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

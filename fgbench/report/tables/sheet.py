"""Sheets: tables for readers, independent of their markup."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fgbench.judge.frames import deviation_text
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.papers.printed import Paper
from fgbench.papers.tables import Table
from fgbench.records.record import Record
from fgbench.report.formatting import NONE, decimals, interval, interval_text, measured, number, printed, published

MAX_COLUMNS = 4
"""A printed table with more columns is shown with one line per cell."""
INTERVAL = "In brackets: the 95 % interval of the mean over seeds, or over the splits of the data set."
SYNTHETIC = "synthetic data, not comparable with any printed number"


@dataclass(frozen=True, slots=True)
class SheetCell:
    """One cell of a sheet."""

    text: str = ""
    outcome: Outcome | None = None
    """Shown as a sign before the text."""
    note: str = ""
    """Letters of the footnotes, separated by commas; empty if there are none."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table for readers, without markup."""

    name: str
    """Label for references."""
    caption: str
    heads: tuple[str, ...]
    """Names of the columns."""
    rows: tuple[tuple[SheetCell, ...], ...]
    """One cell per column each."""
    numbers: tuple[bool, ...]
    """For each column, True if it holds numbers, which are aligned right."""
    groups: tuple[tuple[str, int], ...] = ()
    """Names above `heads`, each with the number of columns it spans; they span all columns."""
    outcomes: tuple[Outcome, ...] = ()
    """Outcomes whose signs the sheet uses."""
    remarks: tuple[str, ...] = ()
    """Sentences below the table."""
    notes: tuple[tuple[str, str], ...] = ()
    """Footnotes: letter and text."""


class Footnotes:
    """Footnotes in order of first use; equal texts share a letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def add(self, *texts: str) -> str:
        """Return the letters of footnotes, separated by commas: a to z, then aa, ab and so on."""
        for text in texts:
            count, letter = len(self._letters), ""
            while count >= 0:
                letter, count = chr(ord("a") + count % 26) + letter, count // 26 - 1
            self._letters.setdefault(text, letter)
        return ",".join(self._letters[text] for text in texts)

    def entries(self) -> tuple[tuple[str, str], ...]:
        """Return the letter and the text of each footnote."""
        return tuple((letter, text) for text, letter in self._letters.items())


def comparison_sheet(paper: Paper, table: Table, verdicts: Sequence[Verdict]) -> Sheet:
    """Return a printed table with the measured value, its interval and the verdict beside each printed number.

    Deviations are footnotes.

    Args:
        paper: the paper.
        table: one of its tables.
        verdicts: on the cells of the paper.
    """
    by_id = {verdict.cell.id: verdict for verdict in verdicts}
    lines = [[by_id.get(f"{table.id}/{row.id}/{column.id}") for column in table.columns] for row in table.rows]
    shown = [verdict for line in lines for verdict in line if verdict is not None]
    footnotes = Footnotes()

    def cells(verdict: Verdict | None) -> tuple[SheetCell, SheetCell, SheetCell]:
        if verdict is None:
            return SheetCell(NONE), SheetCell(), SheetCell()
        value = SheetCell(_measured_text(verdict), note=footnotes.add(*_deviations(verdict)))
        return SheetCell(printed(verdict.cell)), value, SheetCell(outcome=verdict.outcome)

    heads: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    names = [f"{column.label}, {column.unit}" for column in table.columns]
    if len(table.columns) <= MAX_COLUMNS:
        # As printed: one line per row, three columns per printed column.
        heads, groups = ("Method", *("printed", "measured", "") * len(names)), (("", 1), *((name, 3) for name in names))
        rows = [
            (SheetCell(row.label), *(cell for verdict in line for cell in cells(verdict)))
            for row, line in zip(table.rows, lines, strict=True)
        ]
    else:
        # One line per printed number.
        heads, groups = ("Method", "Column", "printed", "measured", ""), ()
        rows = [
            (SheetCell(row.label), SheetCell(name), *cells(verdict))
            for row, line in zip(table.rows, lines, strict=True)
            for name, verdict in zip(names, line, strict=True)
            if verdict is not None
        ]
    remarks = [INTERVAL] if any(verdict.mean is not None for verdict in shown) else []
    if cited := [f"{row.label} ({row.cites})" for row in table.rows if row.cites]:
        remarks.append(f"Cited from another paper, where the number is judged: {', '.join(cited)}.")
    if run_ids := dict.fromkeys(record.run_id for verdict in shown for record in verdict.records):
        remarks.append(f"Records of fgbench: {', '.join(run_ids)}.")
    return Sheet(
        name=f"{paper.id}-{table.id}",
        caption=f"{table.number} of {paper.title} ({published(paper)}): printed and measured.",
        heads=heads,
        rows=tuple(rows),
        numbers=tuple(head in {"printed", "measured"} for head in heads),
        groups=groups,
        outcomes=tuple(outcome for outcome in Outcome if any(verdict.outcome == outcome for verdict in shown)),
        remarks=tuple(remarks),
        notes=footnotes.entries(),
    )


def _measured_text(verdict: Verdict) -> str:
    """The mean and its interval, then those of results from outside with their verdicts."""
    own = NONE if verdict.mean is None else f"{measured(verdict.mean)} ({interval_text(interval(verdict))})"
    return "; ".join([own, *(f"external: {_measured_text(e)}, {e.outcome}" for e in verdict.external)])


def _deviations(verdict: Verdict) -> list[str]:
    synthetic = [SYNTHETIC] if any(record.synthetic for record in verdict.records) else []
    # Differences to the official code are the same for all runs of a recipe; `fgbench show` lists them.
    listed = [deviation for deviation in verdict.deviations if not deviation.field.startswith("differs.")]
    own = synthetic + [deviation_text(deviation) for deviation in listed]
    return own + [_external_text(record) for result in verdict.external for record in result.records]


def _external_text(record: Record) -> str:
    """The name and the file of an external result, and what nobody has checked."""
    assert record.external is not None
    external = record.external
    return f"{external.name}: {external.file}, SHA-256 {external.sha256}, run {record.run_id}; {external.unchecked}"


def frame_sheet(name: str, caption: str, frame: pd.DataFrame, columns: Sequence[str]) -> Sheet:
    """Return some columns of a data frame of `fgbench.judge.frames`; numbers have at most two decimals."""
    part = frame[list(columns)]
    return Sheet(
        name=name,
        caption=caption,
        heads=tuple(column.replace("_", " ").capitalize() for column in columns),
        rows=tuple(tuple(SheetCell(_short_text(value)) for value in row) for row in part.itertuples(index=False)),
        numbers=tuple(dtype.kind in "if" for dtype in part.dtypes),
    )


def _short_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(None if math.isnan(value) else value, min(2, decimals(value)))
    return NONE if value is pd.NA else str(value)

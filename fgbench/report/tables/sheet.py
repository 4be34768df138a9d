"""Tables for people: a printed table beside what was measured, and short forms of the long tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fgbench.judge.frames import deviation_text
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.papers.printed import Paper, Table
from fgbench.report.html.model import NONE, decimals, interval, number, printed, published

MOST_COLUMNS = 4
"""Printed columns that stand side by side; a wider table has a line a cell."""
SYNTHETIC = "synthetic data, which answers no printed number"


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a sheet."""

    text: str = ""
    outcome: Outcome | None = None
    """Shown as a sign, before the text."""
    note: str = ""
    """Letters of the footnotes, with commas; empty for none."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table to be read, without its markup."""

    name: str
    """A label to refer to it by."""
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    """Each as long as `heads`."""
    numbers: tuple[bool, ...]
    """For each column, True where it holds numbers, which are set flush right."""
    groups: tuple[tuple[str, int], ...] = ()
    """Heads above the heads, each with how many columns it spans; together they span all."""
    outcomes: tuple[Outcome, ...] = ()
    """Those whose sign is used."""
    remarks: tuple[str, ...] = ()
    """Sentences below the table."""
    notes: tuple[tuple[str, str], ...] = ()
    """Footnotes: letter and text."""


class Notes:
    """Footnotes as they come up: equal ones have one letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def __call__(self, *texts: str) -> str:
        """The letters of texts, with commas."""
        for text in texts:
            count, letter = len(self._letters), ""
            while count >= 0:
                letter, count = chr(ord("a") + count % 26) + letter, count // 26 - 1
            self._letters.setdefault(text, letter)
        return ",".join(self._letters[text] for text in texts)

    @property
    def all(self) -> tuple[tuple[str, str], ...]:
        """Letters and texts."""
        return tuple((letter, text) for text, letter in self._letters.items())


def comparison(paper: Paper, table: Table, verdicts: Sequence[Verdict]) -> Sheet:
    """A printed table, each number beside what was measured, its interval, the verdict and the deviations.

    Args:
        paper: what it is printed in.
        table: one of the paper's.
        verdicts: of the paper's cells.
    """
    by_id = {verdict.cell.id: verdict for verdict in verdicts}
    lines = [[by_id.get(f"{table.id}/{row.id}/{column.id}") for column in table.columns] for row in table.rows]
    used = [verdict for line in lines for verdict in line if verdict is not None]
    kinds = list(dict.fromkeys(interval(verdict)[1] for verdict in used if interval(verdict)[0]))
    notes = Notes()

    def entries(verdict: Verdict | None) -> tuple[Entry, ...]:
        if verdict is None:
            return Entry(NONE), Entry(), Entry()
        about = _deviations(verdict) + ([interval(verdict)[1]] if len(kinds) > 1 and interval(verdict)[0] else [])
        measured = Entry(_measured(verdict), note=notes(*about))
        return Entry(printed(verdict.cell)), measured, Entry(outcome=verdict.outcome)

    heads: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    names = [f"{column.label}, {column.unit}" for column in table.columns]
    if len(table.columns) <= MOST_COLUMNS:
        heads, groups = ("Method", *("printed", "measured", "") * len(names)), (("", 1), *((name, 3) for name in names))
        rows = [
            (Entry(row.label), *(entry for verdict in line for entry in entries(verdict)))
            for row, line in zip(table.rows, lines, strict=True)
        ]
    else:
        heads, groups = ("Method", "Column", "printed", "measured", ""), ()
        rows = [
            (Entry(row.label), Entry(name), *entries(verdict))
            for row, line in zip(table.rows, lines, strict=True)
            for name, verdict in zip(names, line, strict=True)
            if verdict is not None
        ]
    remarks = [f"In brackets: {kinds[0]}." if len(kinds) == 1 else ""]
    if runs := dict.fromkeys(record.run_id for verdict in used for record in verdict.records):
        remarks.append(f"Records of fgbench: {', '.join(runs)}.")
    return Sheet(
        name=f"{paper.id}-{table.id}",
        caption=f"{table.number} of {paper.title} ({published(paper)}): printed and measured.",
        heads=heads,
        rows=tuple(rows),
        numbers=tuple(head in {"printed", "measured"} for head in heads),
        groups=groups,
        outcomes=tuple(outcome for outcome in Outcome if any(verdict.outcome == outcome for verdict in used)),
        remarks=tuple(filter(None, remarks)),
        notes=notes.all,
    )


def _measured(verdict: Verdict) -> str:
    """The mean with the decimals of the printed value, and its interval."""
    if verdict.mean is None:
        return NONE
    places, (ends, _) = decimals(verdict.cell.value), interval(verdict)
    between = f" [{number(ends.low, places)}, {number(ends.high, places)}]" if ends else ""
    return number(verdict.mean, places) + between


def _deviations(verdict: Verdict) -> list[str]:
    synthetic = [SYNTHETIC] if any(record.synthetic for record in verdict.records) else []
    return synthetic + [deviation_text(deviation) for deviation in verdict.deviations]


def frame_sheet(name: str, caption: str, frame: pd.DataFrame, columns: Sequence[str]) -> Sheet:
    """Some columns of a table of `fgbench.judge.frames`; numbers with no more than two decimals."""
    own = frame[list(columns)]
    return Sheet(
        name=name,
        caption=caption,
        heads=tuple(column.replace("_", " ").capitalize() for column in columns),
        rows=tuple(tuple(Entry(_short(value)) for value in row) for row in own.itertuples(index=False)),
        numbers=tuple(kind.kind in "if" for kind in own.dtypes),
    )


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(None if math.isnan(value) else value, min(2, decimals(value)))
    return NONE if value is pd.NA else str(value)

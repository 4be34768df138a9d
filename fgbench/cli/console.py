"""Output of a verb: lines and tables for readers, or JSON for programs."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fgbench.util.plain_text import one_line, plain, plain_json

if TYPE_CHECKING:
    from fgbench.judge.anomaly import Anomalies
    from fgbench.records.record import Record


class _Console(Console):
    """A console that leaves a closed pipe to `fgbench.cli.app.main`."""

    def on_broken_pipe(self) -> None:
        """Raise the error again, which rich would end the program for."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _console(*, stderr: bool = False) -> Console:
    console = _Console(highlight=False, soft_wrap=True, stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 140  # a log file has no width
    return console


WIDE = 110
"""Number of columns of a wide terminal."""
_stdout = _console()
_stderr = _console(stderr=True)
_answers: list["Answer"] = []
"""The answers whose `with` blocks are entered; the last one decides where lines go."""


class Answer:
    """What a verb answers: facts as one JSON value, or the same facts as lines and tables.

    In the `with` block of an answer in JSON, lines go to standard error, and tables are left out. The JSON value is
    printed at the end of the block, unless an error ends it.

    Args:
        as_json: print JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._facts: Any = None

    def __enter__(self) -> Self:
        _answers.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _answers.remove(self)
        if self.as_json and error is None and self._facts is not None:
            print_json(self._facts)

    def give(self, facts: Any, show: Callable[[], object]) -> None:
        """Answer with facts. Further mappings are added to the first one.

        Args:
            facts: plain values.
            show: prints the same facts as lines and tables.
        """
        if not self.as_json:
            show()
        elif isinstance(self._facts, dict):
            self._facts |= facts
        else:
            self._facts = facts

    def give_tables(self, tables: Mapping[str, list[dict[str, Any]]]) -> None:
        """Answer with tables: title -> rows with the same keys."""

        def show() -> None:
            for title, rows in tables.items():
                table(title, rows)

        self.give(dict(tables), show)


def line_console() -> Console:
    """Return the console to which lines go: standard error while a verb answers in JSON, else standard output."""
    return _stderr if _answers and _answers[-1].as_json else _stdout


def is_wide() -> bool:
    """Return True if a table may have columns that are left out on a narrow terminal."""
    return _stdout.width >= WIDE


def out(text: str) -> None:
    """Print a line without markup and control characters."""
    line_console().print(Text(plain(text)))


def print_lines(texts: Iterable[str]) -> None:
    """Print several lines."""
    for text in texts:
        out(text)


def print_json(value: Any) -> None:
    """Print a value as JSON, which stays JSON on a terminal without Unicode."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(plain_json(json.dumps(value, indent=1, ensure_ascii=ascii_only)) + "\n")


def table(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys as a table, except while a verb answers in JSON."""
    if not rows or line_console() is _stderr:
        return
    grid = Table(
        title=Text(plain(title), style="bold"), title_justify="left", box=None, pad_edge=False, header_style="dim"
    )
    for name in rows[0]:
        grid.add_column(Text(plain(name)), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(_word(value)) for value in row.values()))
    _stdout.print(grid)
    _stdout.print()


def _word(value: Any) -> str:
    """Return the text of a table entry."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else plain(str(value))


def print_anomalies(records: Sequence["Record"], anomalies: "Anomalies") -> None:
    """Print one line for each anomaly of each record."""
    for record in records:
        for anomaly in anomalies.get(record.run_id, ()):
            text = f"anomaly: {record.run_id} ({record.title}, seed {record.seed}): {anomaly.kind}: {anomaly.text}"
            out(one_line(text))

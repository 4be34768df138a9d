"""Output on the terminal: lines, tables, progress bars with the time left."""

import errno
import json
import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fgbench.util.plain_text import one_line, plain, plain_json

if TYPE_CHECKING:
    from fgbench.judge.anomaly import Anomalies
    from fgbench.records.record import Record
    from fgbench.runs.executors.pool import Failure


class _Console(Console):
    """A console that leaves a closed pipe to `fgbench.cli.app.main`."""

    def on_broken_pipe(self) -> None:
        """Raise the error again, which rich would end the program for."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


_console = _Console(highlight=False, soft_wrap=True)
if not _console.is_terminal:
    _console.width = 140  # a log file has no width


def out(text: str) -> None:
    """Print a line without markup and control characters."""
    _console.print(Text(plain(text)))


def print_json(value: Any) -> None:
    """Print a value as JSON, which stays JSON on a terminal without Unicode."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(plain_json(json.dumps(value, indent=1, ensure_ascii=ascii_only)) + "\n")


def table(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys as a table."""
    if not rows:
        return
    grid = Table(
        title=Text(plain(title), style="bold"), title_justify="left", box=None, pad_edge=False, header_style="dim"
    )
    for name in rows[0]:
        grid.add_column(Text(plain(name)), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(_word(value)) for value in row.values()))
    _console.print(grid)
    _console.print()


def _word(value: Any) -> str:
    """Return the text of a table entry."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else plain(str(value))


def print_anomalies(records: Sequence["Record"], anomalies: "Anomalies") -> None:
    """Print one line for each anomaly of each record."""
    for record in records:
        for anomaly in anomalies.get(record.run_id, ()):
            text = f"anomaly: {record.run_id} ({record.title}, seed {record.seed}): {anomaly.kind}: {anomaly.text}"
            out(one_line(text))


class Progress:
    """Context manager that shows progress bars on a terminal, else one line for each finished run.

    Args:
        quiet: show no progress bars.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=24),
            bars.TaskProgressColumn(),
            bars.TimeElapsedColumn(),
            bars.TextColumn("{task.fields[left]}", markup=False),
            console=_console,
            disable=quiet or not _console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def add(self, what: str, total: float) -> bars.TaskID:
        """Add a progress bar; return its id for `advance`."""
        return self._bars.add_task(plain(what), total=total, left="")

    def advance(self, task: bars.TaskID) -> None:
        """Advance a bar by one."""
        self._bars.advance(task)

    def watch(self) -> "PlanWatcher":
        """Return a watcher that shows each running task and the whole plan."""
        return PlanWatcher(self._bars)


class PlanWatcher:
    """A watcher that shows the progress of a plan and estimates the time left from the speed so far.

    Args:
        progress: the progress bars.
    """

    def __init__(self, progress: bars.Progress) -> None:
        self._bars, self._plain = progress, progress.disable
        self._tasks: dict[str, bars.TaskID] = {}
        self._shares: dict[str, float] = {}
        self._ended = 0
        self._expected = 1
        self._started = time.monotonic()
        self._whole = self._bars.add_task("plan", total=1.0, left="")

    def expect(self, tasks: int) -> None:
        """Set the number of tasks."""
        self._expected = tasks

    def progress(self, name: str, what: str, share: float) -> None:
        """Update the bar of a task."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(plain(name), total=1.0, left="")
        self._shares[name] = share
        self._bars.update(self._tasks[name], completed=share, description=plain(f"{name}: {what}"))
        self._update()

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        out(text)

    def finished(self, name: str, failure: "Failure | None", wall_s: float) -> None:
        """Remove the bar of a task and print how the task ended."""
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        self._shares.pop(name, None)
        self._ended += 1
        self._update()
        state = "failed" if failure else "done"
        out(f"{state} in {wall_s:.0f} s: {name}{self._left() if self._plain else ''}")

    def _done(self) -> float:
        """Return the finished share of the plan."""
        return min(1.0, (self._ended + sum(self._shares.values())) / max(1, self._expected))

    def _left(self) -> str:
        """Return the estimated time left in words."""
        done = self._done()
        if not 0 < done < 1:
            return ""
        seconds = (time.monotonic() - self._started) * (1 - done) / done
        return f" (about {seconds / 60:.0f} min left)" if seconds >= 90 else f" (about {seconds:.0f} s left)"

    def _update(self) -> None:
        self._bars.update(self._whole, completed=self._done(), left=self._left())

"""Progress of runs: bars with the time left on a terminal, else one line for each step."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich import progress as bars

from fgbench.cli.console import line_console, out
from fgbench.util.plain_text import plain

if TYPE_CHECKING:
    from fgbench.runs.executors.pool import Failure


class Progress:
    """Context manager that shows progress bars on a terminal, else a line for each start, step and end of a run.

    Args:
        quiet: show no progress bars, and print no starts and steps.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        console = line_console()
        self._lists_steps = not (quiet or console.is_terminal)
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=24),
            bars.TaskProgressColumn(),
            bars.TimeElapsedColumn(),
            bars.TextColumn("{task.fields[left]}", markup=False),
            console=console,
            disable=quiet or not console.is_terminal,
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

    def set_share(self, task: bars.TaskID, share: float) -> None:
        """Set the finished share of a bar whose total is 1."""
        self._bars.update(task, completed=share)

    def watch(self) -> "PlanWatcher":
        """Return a watcher that shows each running task and the whole plan."""
        return PlanWatcher(self._bars, lists_steps=self._lists_steps)


class PlanWatcher:
    """A watcher that shows the progress of a plan and estimates the time left from the speed so far.

    Args:
        progress: the progress bars.
        lists_steps: print a line when a task starts another step.
    """

    def __init__(self, progress: bars.Progress, *, lists_steps: bool) -> None:
        self._bars, self._plain, self._lists_steps = progress, progress.disable, lists_steps
        self._steps: dict[str, str] = {}
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
        """Update the bar of a task, or print its step if it is another one."""
        if self._lists_steps and self._steps.get(name) != what:
            self._steps[name] = what
            out(f"{name}: {what}")
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

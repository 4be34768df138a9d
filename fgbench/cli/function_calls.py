"""What the functions of `fgbench.cli.functions` share: progress, errors, and processes of a script without a guard."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench.util.errors import FgbenchError
from fgbench.util.files import machine_error
from fgbench.util.plain_text import one_line

if TYPE_CHECKING:
    from fgbench.runs.executors.pool import Failure
    from fgbench.runs.run import Changes

Report = Callable[[str, float], object]
"""Called with (what is done now, finished share from 0 to 1)."""
OTHER_CODE = "was computed by other code of fgbench, so scores may differ from those of its record"
"""Remark on predictions of a run."""
COMMAND = "FGBENCH_COMMAND"
"""Environment variable with the command that the record of a run names."""


def print_steps() -> Report:
    """Return a function that prints each new step on standard error, in a notebook as on a terminal."""
    last = [""]

    def report(what: str, share: float) -> None:
        if what != last[0]:
            print(f"fgbench: {one_line(what)} ({100 * share:.0f} %)", file=sys.stderr, flush=True)  # noqa: T201
            last[0] = what

    return report


class StepWatcher:
    """A watcher of tasks that reports each step with the finished share of all tasks.

    Args:
        report: called with the progress.
    """

    def __init__(self, report: Report) -> None:
        self._report, self._tasks, self._ended = report, 1, 0

    def expect(self, tasks: int) -> None:
        """Set the number of tasks."""
        self._tasks = max(1, tasks)

    def progress(self, name: str, what: str, share: float) -> None:
        """Report the step of a task."""
        self._report(f"{name}: {what}", min(1.0, (self._ended + share) / self._tasks))

    def note(self, text: str) -> None:
        """Report a message."""
        self._report(text, self._ended / self._tasks)

    def finished(self, name: str, failure: "Failure | None", wall_s: float) -> None:
        """Report the end of a task."""
        self._ended += 1
        state = "failed" if failure else "done"
        self._report(f"{name}: {state} in {wall_s:.0f} s", min(1.0, self._ended / self._tasks))


@contextmanager
def calling(command: str = "") -> Iterator[None]:
    """Name the command in the records of this block, and raise faults of the machine as FgbenchError.

    Processes that start in this block do not import the script of the user, which would call the function again.
    """
    main = sys.modules["__main__"]
    names = [name for name in ("__file__", "__spec__") if name in vars(main)]
    hidden: dict[str, Any] = {name: vars(main)[name] for name in names}
    before = os.environ.get(COMMAND)
    try:
        vars(main).update(__spec__=None)
        vars(main).pop("__file__", None)
        if command:
            os.environ[COMMAND] = command
        yield
    except (OSError, MemoryError) as error:
        raise machine_error(error) from error
    except RuntimeError as error:
        from fgbench.util.gpu_errors import gpu_error

        if (known := gpu_error(error)) is None:
            raise
        raise known from error
    finally:
        vars(main).update(hidden)
        if before is None:
            os.environ.pop(COMMAND, None)
        else:
            os.environ[COMMAND] = before


def described(verb: str, first: object, *, changes: "Changes", **options: Any) -> str:
    """Return a call as text, with the options that are not the defaults of `Changes`."""
    defaults = asdict(type(changes)())
    changed = {name: value for name, value in asdict(changes).items() if value != defaults[name]}
    words = [repr(first), *(f"{name}={value!r}" for name, value in {**options, **changed}.items())]
    return f"fgbench.{verb}({', '.join(words)})"


def error_of(failure: "Failure", results: Path) -> FgbenchError:
    """Return the error of a failed run; that of a bug names the file with its traceback."""
    from fgbench.cli.run_results import FAILURES, keep_traceback

    message, _, hint = failure.message.partition("\n  ")
    if failure.detail:
        hint = keep_traceback(failure, results / FAILURES)
    return FgbenchError(f"{failure.name}: {message}", hint)

"""Tasks in processes of their own: a crash costs one of them, and none outlives its parent."""

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from fgbench.util.errors import FgbenchError
from fgbench.util.processes import die_with_parent

Report = Callable[[str, float], object]
"""Called with (what is being done, share of the task done)."""

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do in a process of its own."""

    name: str
    """What to call it; unique in a pool."""
    work: Callable[[Report], object]
    """Does it; must be picklable."""
    threads: int = 1
    """Threads it may use."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that did not end well."""

    name: str
    message: str
    """What is wrong and what to do, for a user's mistake; else the last line of the traceback."""
    detail: str = ""
    """The traceback of an error in fgbench itself."""
    error: str = ""
    """The class of the error; empty when the process ended without a word."""


class Watcher(Protocol):
    """Is told how tasks go on."""

    def expect(self, tasks: int) -> None:
        """How many tasks there will be, of all calls together."""

    def progress(self, name: str, what: str, share: float) -> None:
        """A task has got to `share` (0 to 1) and is doing `what`."""

    def note(self, text: str) -> None:
        """Something has happened that the user should know of, though the plan goes on."""

    def finished(self, name: str, failure: Failure | None, wall_s: float) -> None:
        """A task has ended."""


def run_tasks(tasks: Sequence[Task], watcher: Watcher, *, jobs: int = 1) -> list[Failure]:
    """Do the tasks in order, at most `jobs` at a time; returns those that failed."""
    context: Any = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":
        context.set_forkserver_preload(["fgbench.runs.execute"])
    waiting = list(reversed(tasks))
    running: dict[Connection, tuple[Task, BaseProcess, float]] = {}
    failures: list[Failure] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop()
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(task, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = (task, process, time.monotonic())
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                task, process, started = running[ready]
                ended, failure = _hear(ready, task, process, watcher)
                if ended:
                    del running[ready]
                    failures += [failure] if failure else []
                    watcher.finished(task.name, failure, time.monotonic() - started)
    finally:
        for connection, (_, process, _) in running.items():
            connection.close()
            process.kill()
            process.join()
    return failures


def _hear(connection: Connection, task: Task, process: BaseProcess, watcher: Watcher) -> tuple[bool, Failure | None]:
    """Take one message of a task: (it has ended, how it failed)."""
    try:
        message = connection.recv()
    except (EOFError, OSError):
        process.join()
        code = process.exitcode or 0
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        hint = "; the machine may be out of memory" if code == -signal.SIGKILL else ""
        return True, Failure(task.name, f"its process ended with {how}{hint}")
    if isinstance(message, tuple):
        watcher.progress(task.name, *message)
        return False, None
    connection.close()
    process.join()
    return True, message


def _serve(task: Task, connection: Connection) -> None:
    """The life of a task's process. Messages: (what, share) on the way; at the end None or a Failure."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    die_with_parent()
    import torch
    from threadpoolctl import threadpool_limits

    from fgbench.runs.training.distributed import stand_alone

    stand_alone()
    torch.set_num_threads(task.threads)
    threadpool_limits(task.threads)
    sent = [0.0]

    def report(what: str, share: float) -> None:
        if time.monotonic() - sent[0] > 0.1 or share >= 1:
            connection.send((what, share))
            sent[0] = time.monotonic()

    failure = None
    try:
        task.work(report)
    except FgbenchError as error:
        failure = Failure(task.name, str(error), error=type(error).__name__)
    except BaseException as error:  # whatever it is, the parent must hear of it  # noqa: BLE001
        last = traceback.format_exception_only(error)[-1].strip()
        failure = Failure(task.name, last, traceback.format_exc(), type(error).__name__)
    connection.send(failure)
    connection.close()

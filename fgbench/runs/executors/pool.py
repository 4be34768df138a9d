"""Tasks in separate processes: a crash ends one task only, and no process outlives its parent."""

import math
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from fgbench.runs.executors.gpus import GpuPool, use_gpu, visible_gpus
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.files import machine_error
from fgbench.util.gpu_errors import gpu_error
from fgbench.util.processes import die_with_parent

Report = Callable[[str, float], object]
"""Called with (name of the current step, finished share of the task)."""
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


@dataclass(frozen=True, slots=True)
class PoolTask:
    """A task for a separate process."""

    name: str
    """Name of the task; unique in a pool."""
    work: Callable[[Report], object]
    """Picklable function that executes the task."""
    threads: int = 1
    """Number of threads that it may use."""
    gpu: bool = False
    """Whether it uses a GPU: one of those of this machine."""
    key: str = ""
    """Unique text by which other tasks name it."""
    after: tuple[str, ...] = ()
    """Keys of the tasks after which it starts; a key of no task does not count."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed."""

    name: str
    """Name of the task."""
    message: str
    """The mistake of the user or the fault of the machine, and the next command; for other errors, the last line of the
    traceback."""
    detail: str = ""
    """The traceback of an error that is not a mistake of the user."""
    error: str = ""
    """The class of the error; empty if the process ended without a message."""


class Watcher(Protocol):
    """Receives the progress of tasks."""

    def expect(self, tasks: int) -> None:
        """Receive the number of tasks of the whole plan."""

    def progress(self, name: str, what: str, share: float) -> None:
        """Receive the progress of a task: the name of its current step and its finished share, from 0 to 1."""

    def note(self, text: str) -> None:
        """Receive a message for the user; the plan continues."""

    def finished(self, name: str, failure: Failure | None, wall_s: float) -> None:
        """Receive the end of a task: None or its failure, and its duration in seconds."""


def run_tasks(
    tasks: Sequence[PoolTask], watcher: Watcher, *, jobs: int = 1, deadline: float = math.inf
) -> list[Failure]:
    """Execute tasks in separate processes.

    Args:
        tasks: tasks in the order in which they start.
        watcher: receives the progress.
        jobs: maximum number of tasks at the same time. Each task that uses a GPU gets one of its own. If there are
            fewer GPUs, they are shared, and the user is told.
        deadline: value of `time.monotonic()` at which the running tasks are ended. They neither fail nor finish.

    Returns:
        The failures, in the order in which the tasks end.
    """
    context: Any = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":
        context.set_forkserver_preload(["fgbench.runs.executors.preload"])
    waiting = list(tasks)
    gpus = _gpus(tasks, jobs, watcher)
    running: dict[Connection, tuple[PoolTask, BaseProcess, float, str | None]] = {}
    failures: list[Failure] = []
    try:
        while (waiting or running) and time.monotonic() < deadline:
            # Start tasks until `jobs` of them are running.
            while len(running) < jobs:
                busy = {task.key for task in waiting} | {task.key for task, *_ in running.values()}
                startable = next((task for task in waiting if busy.isdisjoint(task.after)), None)
                if startable is None:
                    break
                task = startable
                waiting.remove(task)
                receiver, sender = context.Pipe()
                gpu = gpus.take() if task.gpu else None
                process = context.Process(target=_serve, args=(task, sender, gpu, _variables()), daemon=True)
                process.start()
                sender.close()
                running[receiver] = (task, process, time.monotonic(), gpu)
                watcher.progress(task.name, "starting", 0.0)
            # Receive one message of each task that has sent some.
            for ready in wait(list(running), None if deadline == math.inf else max(0, deadline - time.monotonic())):
                assert isinstance(ready, Connection)
                task, process, started, gpu = running[ready]
                ended, failure = _receive(ready, task, process, watcher)
                if ended:
                    del running[ready]
                    gpus.give_back(gpu)
                    watcher.finished(task.name, failure, time.monotonic() - started)
                    if failure:
                        failures += [failure, *_without_dependents(waiting, task, watcher)]
    finally:
        # After an error, an interrupt or the deadline, end the tasks that are still running.
        for connection, (_, process, *_) in running.items():
            connection.close()
            process.kill()
            process.join()
    return failures


def not_run(name: str, failed: str) -> Failure:
    """Return the failure of a task that was not started because the task before it failed."""
    return Failure(name, f"not run, because {failed} failed")


def _without_dependents(waiting: list[PoolTask], failed: PoolTask, watcher: Watcher) -> list[Failure]:
    """Remove the tasks that wait for a failed one, directly or through others; return their failures."""
    failures = []
    for task in [task for task in waiting if failed.key in task.after]:
        if task not in waiting:
            continue  # it also waited for one of the others
        waiting.remove(task)
        failure = not_run(task.name, failed.name)
        watcher.finished(task.name, failure, 0.0)
        failures += [failure, *_without_dependents(waiting, task, watcher)]
    return failures


def _gpus(tasks: Sequence[PoolTask], jobs: int, watcher: Watcher) -> GpuPool:
    """Return the GPUs for tasks; tell the user if some of the tasks share one."""
    together = min(jobs, sum(task.gpu for task in tasks))
    names = visible_gpus() if together else []
    if 0 < len(names) < together:
        watcher.note(
            f"{together} runs at a time share {counted(len(names), 'GPU')}: their memory must be enough for all of "
            f"them, and the energy of a run is not measured. --jobs {len(names)} gives each run a GPU of its own."
        )
    return GpuPool(names)


def _receive(
    connection: Connection, task: PoolTask, process: BaseProcess, watcher: Watcher
) -> tuple[bool, Failure | None]:
    """Receive one message of a task; return (task has ended, failure or None)."""
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


def _variables() -> dict[str, str]:
    """Return the environment variables of fgbench. A fork server has those of the time at which it was started."""
    return {name: value for name, value in os.environ.items() if name.startswith("FGBENCH_")}


def _serve(task: PoolTask, connection: Connection, gpu: str | None, variables: dict[str, str]) -> None:
    """Main function of the process of a task. Messages: (what, share) as progress; at the end None or a Failure."""
    for name in _variables().keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles an interrupt
    die_with_parent()
    if gpu is not None:
        use_gpu(gpu)
    import torch
    from threadpoolctl import threadpool_limits

    from fgbench.runs.training.distributed import stand_alone

    stand_alone()
    torch.set_num_threads(task.threads)
    threadpool_limits(task.threads)
    sent_at, sent = [0.0], [""]

    def report(what: str, share: float) -> None:
        if what != sent[0] or share >= 1 or time.monotonic() - sent_at[0] > 0.1:
            connection.send((what, share))
            sent_at[0], sent[0] = time.monotonic(), what

    failure = None
    try:
        task.work(report)
    except FgbenchError as error:
        failure = Failure(task.name, str(error), error=type(error).__name__)
    except (OSError, MemoryError) as error:
        failure = Failure(task.name, str(machine_error(error)), traceback.format_exc(), type(error).__name__)
    except BaseException as error:  # the parent must receive every error  # noqa: BLE001
        message = str(gpu_error(error) or traceback.format_exception_only(error)[-1].strip())
        failure = Failure(task.name, message, traceback.format_exc(), type(error).__name__)
    connection.send(failure)
    connection.close()

"""Number of worker processes, work in a process of its own, and workers that end with their parent process."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from fgbench.util.errors import FgbenchError

Result = TypeVar("Result")


def processes_for_work() -> int:
    """Return the number of processes to divide work among: the number of cores, or 1 in a worker of a pool.

    A worker of a pool cannot start processes.
    """
    return 1 if multiprocessing.current_process().daemon else os.cpu_count() or 1


def in_own_process(what: str, function: Callable[..., Result], *arguments: Any, context: Any = None) -> Result:
    """Return the result of a function that is called in a process of its own, whose memory is free again afterwards.

    Args:
        what: what the process does, for messages, such as `measures the GPU`.
        function: the function, of a module.
        arguments: its arguments.
        context: context of multiprocessing; None to start a new interpreter.

    Raises:
        FgbenchError: the process was ended, such as for lack of memory.
        Exception: errors of the function.
    """
    try:
        with ProcessPoolExecutor(1, context or multiprocessing.get_context("spawn"), die_with_parent) as pool:
            return pool.submit(function, *arguments).result()
    except BrokenProcessPool as error:
        raise FgbenchError(
            f"the process that {what} was ended", "close other programs that need memory, and try again"
        ) from error


def die_with_parent() -> None:
    """End this process as soon as its parent process ends, also by SIGKILL.

    Otherwise a worker would continue or wait for ever after its parent was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

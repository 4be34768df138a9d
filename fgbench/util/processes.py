"""Processes that end with their parent, however it ends."""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def processes_for_work() -> int:
    """How many processes work may be spread over: the cores, or 1 in a task of a pool, which may have none."""
    return 1 if multiprocessing.current_process().daemon else os.cpu_count() or 1


def die_with_parent() -> None:
    """From now on, end this process at once when the one that started it is gone, even by SIGKILL.

    Without this a worker would go on, or wait for ever, after its parent was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

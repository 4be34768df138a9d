"""Number of worker processes, and workers that end with their parent process."""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def processes_for_work() -> int:
    """Return the number of processes to divide work among: the number of cores, or 1 in a worker of a pool.

    A worker of a pool cannot start processes.
    """
    return 1 if multiprocessing.current_process().daemon else os.cpu_count() or 1


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

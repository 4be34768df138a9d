"""Calls of functions in a child process. Some libraries crash on damaged files; then only the child ends."""

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from fgbench.util.errors import FgbenchError

resource: ModuleType | None
try:
    import resource
except ImportError:  # on Windows: memory is not limited
    resource = None

T = TypeVar("T")


def read_in_child(
    path: Path, limit_s: float, hint: str, function: Callable[..., T], *arguments: object, memory_bytes: int = 0
) -> T:
    """Return `function(*arguments)`, computed in a new process of Python, which takes about half a second to start.

    Unlike a process of `multiprocessing`, it can be started in a worker of a pool, and it does not import the main
    module again.

    Args:
        path: the file that the function reads, for messages.
        limit_s: longest duration in seconds.
        hint: the next thing to do if the file is damaged.
        function: a function of a module. It, its arguments and its value are pickled.
        arguments: passed to the function.
        memory_bytes: most memory of the process, where the system can limit it; 0 for no limit.

    Raises:
        FgbenchError: the process was ended by a signal or took too long, or cannot be started.
        Exception: errors of the function.
    """
    # Libraries of linear algebra reserve memory for each thread.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", __name__],
            input=pickle.dumps((os.getpid(), memory_bytes, function, arguments)),
            capture_output=True,
            timeout=limit_s,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FgbenchError(f"{path} is damaged: reading it took more than {limit_s:g} seconds", hint) from error
    except OSError as error:
        raise FgbenchError(
            f"cannot start a process that reads {path}: {error.strerror}", "end other programs and try again"
        ) from error
    if ended.returncode < 0:
        raise FgbenchError(f"{path} is damaged: reading it ended the process with signal {-ended.returncode}", hint)
    if ended.returncode > 0:
        reason = (ended.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise FgbenchError(f"the process that reads {path} failed: {reason}", hint)
    succeeded, value = pickle.loads(ended.stdout)
    if not succeeded:
        raise value
    result: T = value
    return result


def _serve() -> None:
    """Read a call from the standard input, and write its value or its error to the standard output."""
    # Other output goes to the standard error.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    parent, memory_bytes, function, arguments = pickle.load(sys.stdin.buffer)
    if memory_bytes and resource is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        outcome = True, function(*arguments)
    except Exception as error:  # raised again in the parent process  # noqa: BLE001
        outcome = False, error
    with answer:
        pickle.dump(outcome, answer)


def _end_with(parent: int) -> None:
    """End this process when its parent process has ended."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    _serve()

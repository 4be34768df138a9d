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
from typing import TypeVar, cast

from fgbench.util.errors import FgbenchError

resource: ModuleType | None
try:
    import resource
except ImportError:  # on Windows: memory is not limited
    resource = None

T = TypeVar("T")


def call_in_child(what: str, function: Callable[..., T], *arguments: object) -> T:
    """Return `function(*arguments)`, computed in a new process of Python, which takes about half a second to start.

    Unlike a process of `multiprocessing`, it can be started in a worker of a pool, and it does not import the main
    module again.

    Args:
        what: the process, for messages.
        function: a function of a module. It, its arguments and its value are pickled.
        arguments: passed to the function.

    Raises:
        FgbenchError: the process was ended by a signal, such as for lack of memory, or cannot be started.
        Exception: errors of the function.
    """
    ended = _ended(what, dict(os.environ), None, (0, function, arguments))
    if ended.returncode < 0:
        raise FgbenchError(
            f"{what} was ended by signal {-ended.returncode}", "close other programs that need memory, and try again"
        )
    return cast("T", _value(what, ended, "run the command again"))


def read_in_child(
    path: Path, limit_s: float, hint: str, function: Callable[..., T], *arguments: object, memory_bytes: int = 0
) -> T:
    """Return `function(*arguments)`, computed as by `call_in_child`, for a function that reads a file.

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
    environment, what = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}, f"the process that reads {path}"
    try:
        ended = _ended(what, environment, limit_s, (memory_bytes, function, arguments))
    except subprocess.TimeoutExpired as error:
        raise FgbenchError(f"{path} is damaged: reading it took more than {limit_s:g} seconds", hint) from error
    if ended.returncode < 0:
        raise FgbenchError(f"{path} is damaged: reading it ended the process with signal {-ended.returncode}", hint)
    return cast("T", _value(what, ended, hint))


def _ended(
    what: str, environment: dict[str, str], limit_s: float | None, call: tuple[object, ...]
) -> subprocess.CompletedProcess[bytes]:
    """Start the process, wait until it has ended, and return its output."""
    try:
        return subprocess.run(
            [sys.executable, "-m", __name__],
            input=pickle.dumps((os.getpid(), *call)),
            capture_output=True,
            timeout=limit_s,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
    except OSError as error:
        raise FgbenchError(f"cannot start {what}: {error.strerror}", "end other programs and try again") from error


def _value(what: str, ended: subprocess.CompletedProcess[bytes], hint: str) -> object:
    """Return the value of the call, or raise its error."""
    if ended.returncode > 0:
        reason = (ended.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise FgbenchError(f"{what} failed: {reason}", hint)
    succeeded, value = pickle.loads(ended.stdout)
    if not succeeded:
        raise value
    return cast("object", value)


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

"""Locks between programs that use the same file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from fgbench.util.errors import FgbenchError
from fgbench.util.files import storage_error


@contextmanager
def locked(path: Path, hint: str = "") -> Iterator[None]:
    """Hold the lock file `PATH.lock` inside the block; wait for another program that holds it.

    Args:
        path: the file or folder that is locked; the folder that contains it is made.
        hint: the next thing to do if the lock file cannot be written.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        reason = storage_error(error, Path(f"{path}.lock"))
        raise FgbenchError(reason.args[0], hint or reason.hint) from error
    try:
        yield
    finally:
        lock.release()

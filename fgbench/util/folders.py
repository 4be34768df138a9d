"""Folders that are complete or absent: they are filled under a temporary name and renamed at the end; their removal."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fgbench.util.errors import FgbenchError
from fgbench.util.files import TEMPORARY_END, lock_until_closed

_SYSTEM_NAMES = frozenset({".ds_store", "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini"})


def is_of_system(name: str) -> bool:
    """Return True for the name of a file or folder that macOS or Windows writes beside the files of the user.

    >>> [is_of_system(name) for name in ("._photo.jpg", "__MACOSX", "Thumbs.db", "photo.jpg")]
    [True, True, True, False]
    """
    return name.startswith("._") or name.lower() in _SYSTEM_NAMES


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `root` that becomes `root` when the block ends; after an error, it is removed.

    The temporary folder is locked inside the block. Unlocked ones, which killed programs left, are removed first.

    Args:
        root: a folder that does not exist or is empty when the block ends; its parents are made.

    Raises:
        OSError: a folder cannot be made or renamed.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    remove_leftover_folders(root)
    temporary = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}.", suffix=".fgbench-part"))
    handle = _open(temporary)
    try:
        if handle is not None:
            lock_until_closed(handle)
        yield temporary
        temporary.chmod(0o755)
        with suppress(OSError):  # there is no folder, or it is not empty
            root.rmdir()
        temporary.replace(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def no_folder_error(path: Path, hint: str) -> FgbenchError:
    """Return the error to raise when a folder is needed and there is none, or something else is in its place."""
    missing = not os.path.lexists(path)
    return FgbenchError(f"there is no folder {path}" if missing else f"{path} is not a folder", hint)


def is_real_folder(path: Path) -> bool:
    """Return True for a folder, and False if nothing is there.

    Raises:
        FgbenchError: something else is there, such as a file, a FIFO or a symbolic link.
    """
    if not os.path.lexists(path):
        return False
    if path.is_symlink():
        raise FgbenchError(f"{path} is a symbolic link", "move it elsewhere")
    if not path.is_dir():
        raise FgbenchError(f"{path} is not a folder", "move it elsewhere")
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder and everything in it, if it is there. Only a folder is opened: opening a FIFO would wait.

    Raises:
        FgbenchError: something else is in its place, such as a file, a FIFO or a symbolic link.
        OSError: it cannot be removed.
    """
    if is_real_folder(folder):
        shutil.rmtree(folder)


def remove_leftover_folders(root: Path) -> None:
    """Remove the temporary folders of `root` that killed programs left. Those of running programs stay."""
    name = re.compile(rf"\.{re.escape(root.name)}{TEMPORARY_END}")
    with suppress(OSError):
        for path in sorted(root.parent.iterdir()):
            if name.fullmatch(path.name) and path.is_dir() and (handle := _open(path)) is not None:
                try:
                    if lock_until_closed(handle):
                        shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(handle)


def _open(folder: Path) -> int | None:
    """Return a descriptor of a folder, which can be locked; None where folders cannot be opened, as on Windows."""
    try:
        return os.open(folder, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None

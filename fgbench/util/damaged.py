"""Damaged files of unfinished work and of the cache: named to the user, set aside, and computed again."""

import io
import json
import os
import sys
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.util.errors import FgbenchError
from fgbench.util.files import kind_of_special_file, read_bytes, read_text, storage_error, write_json
from fgbench.util.hashing import canonical
from fgbench.util.plain_text import plain

_SUM = "crc32"
"""Key of the checksum in a JSON file of `write_checked_json`."""


def set_aside(path: Path, reason: str, *, quiet: bool = False) -> None:
    """Rename a damaged file to `NAME.damaged` and print one line on the standard error.

    An older file of that name is replaced, so that damage cannot fill the disk. A folder is never replaced.

    Args:
        path: the file, or whatever is in its place. Nothing happens if another process has set it aside.
        reason: what is wrong with it, as the end of a sentence.
        quiet: print nothing, for one of many files of which the first was told.

    Raises:
        FgbenchError: it cannot be renamed, for example in a folder that is read-only.
    """
    aside, number = path.with_name(f"{path.name}.damaged"), 1
    is_folder = path.is_dir() and not path.is_symlink()
    while os.path.lexists(aside) and (is_folder or aside.is_dir()):
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    try:
        path.replace(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise FgbenchError(
            f"{path} is damaged ({reason}) and cannot be set aside: {error.strerror}",
            f"delete {path}, or get the permission to write in its folder",
        ) from error
    if not quiet:
        tell(f"{path} is damaged ({reason}). It is now {aside.name} and is computed again.")


def tell(text: str) -> None:
    """Print one line for the user on the standard error; the program continues."""
    with suppress(OSError):  # nobody reads it
        print(f"fgbench: {plain(text)}", file=sys.stderr, flush=True)  # noqa: T201


def is_present(path: Path) -> bool:
    """Return True if there is a regular file. Anything else in its place, such as a folder or a FIFO, is set aside.

    Raises:
        FgbenchError: it cannot be set aside.
    """
    if not os.path.lexists(path):
        return False
    if reason := not_a_file(path):
        set_aside(path, reason)
    return not reason


def make_work_folder(folder: Path) -> None:
    """Make a folder of unfinished work; a file in its place is set aside.

    Raises:
        FgbenchError: the disk is full, the folder cannot be made, or the file cannot be set aside.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        set_aside(folder, "it is not a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error


def not_a_file(path: Path) -> str:
    """Return why an existing path is not a regular file; empty if it is one."""
    try:
        kind = kind_of_special_file(path)
    except OSError as error:
        return f"it is a link to nowhere: {error.strerror}"
    return f"it is {kind}, not a file" if kind else ""


def write_checked_json(path: Path, value: dict[str, Any]) -> None:
    """Write a dictionary as JSON with a checksum of its values and of the names of the file and its folder.

    Raises:
        FgbenchError: as for `write_atomic`.
    """
    write_json(path, value | {_SUM: _checksum(path, value)})


def read_checked_json(path: Path) -> dict[str, Any] | None:
    """Return what `write_checked_json` wrote; None if there is no file. A damaged file is set aside.

    A file that was written under another name or in another folder counts as damaged.

    Raises:
        FgbenchError: a damaged file cannot be set aside.
    """
    if not is_present(path):
        return None
    value, reason = try_checked_json(path)
    if value is None:
        set_aside(path, reason)
    return value


def try_checked_json(path: Path) -> tuple[dict[str, Any] | None, str]:
    """Return what `write_checked_json` wrote, or None and the reason. Nothing is set aside."""
    try:
        value = json.loads(read_text(path))
        if isinstance(value, dict) and value.pop(_SUM, None) == _checksum(path, value):
            return value, ""
    except OSError as error:
        return None, f"it cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        return None, "it is not JSON"
    return None, "its checksum is wrong"


def _checksum(path: Path, value: dict[str, Any]) -> int:
    return zlib.crc32(f"{owner_of(path)}\n{canonical(value)}".encode())


def owner_of(path: Path) -> str:
    """Return the names of a file and its folder. A file that contains it cannot be taken for that of another run."""
    return f"{path.parent.name}/{path.name}"


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz file completely, so that the checksum of each is verified.

    `numpy.load` verifies a checksum only if it reads to the end of an array; with a damaged shape it does not.

    Raises:
        FileNotFoundError: there is no such file.
        OSError, ValueError, ...: the file is damaged; `DAMAGED_ARRAYS` lists the errors.
    """
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
        for name in archive.namelist():
            content = io.BytesIO(archive.read(name))
            arrays[name.removesuffix(".npy")] = np.lib.format.read_array(content, allow_pickle=False)
            if content.read(1):
                raise ValueError(f"array {name} is longer than its shape")
    return arrays

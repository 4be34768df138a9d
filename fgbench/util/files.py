"""Atomic writes, errors of a disk in one sentence, and the cache folder."""

import errno
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fgbench.util.errors import FgbenchError

DAMAGED_ARRAYS = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors that reading a damaged array file raises, depending on the place of the damage."""
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def cache_folder() -> Path:
    """Return the folder of everything that can be computed or downloaded again.

    It holds decoded pixels, feature maps, file hashes, downloads and trained small networks. FGBENCH_CACHE names it.
    """
    return Path(os.environ.get("FGBENCH_CACHE") or "~/.cache/fgbench").expanduser()


def storage_error(error: OSError, path: Path) -> FgbenchError:
    """Return the error to raise when writing `path` failed: full disk, read-only folder, file instead of a folder."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return FgbenchError(
            f"the disk of {path.parent} is full: {reason}", "free space there and run the command again"
        )
    if error.errno in _FORBIDDEN:
        return FgbenchError(
            f"cannot write {path}: {reason}", "choose another folder, or get the permission to write there"
        )
    if file := next((parent for parent in path.parents if parent.is_file()), None):
        return FgbenchError(f"cannot write {path}: {file} is a file, not a folder", f"move {file} elsewhere")
    if path.is_dir():
        return FgbenchError(f"cannot write {path}: it is a folder", "choose another file name")
    return FgbenchError(f"cannot write {path}: {reason}", f"check the folder {path.parent}")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that readers see all of it or nothing.

    Args:
        path: the file; its folders are made.
        write: called with a temporary path beside `path`, which is then renamed to `path`.

    Raises:
        FgbenchError: the disk is full, the folder cannot be written, or a file is in the place of a folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused: they are not JSON."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, atomically."""
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, atomically."""
    write_atomic(path, lambda temporary: temporary.write_bytes(content))

"""Atomic writes, reads of regular files only, errors of a disk in one sentence, and the cache folder."""

import codecs
import errno
import json
import os
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from fgbench.util.errors import FgbenchError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # on Windows: temporary files of killed programs stay
    fcntl = None

DAMAGED_ARRAYS = (
    *(OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError, SyntaxError, TypeError, OverflowError),
    *(zipfile.BadZipFile, zlib.error),
)
"""Errors that reading a damaged array file raises, depending on the place of the damage."""
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Byte order mark -> encoding of the text after it."""
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
TEMPORARY_END = r"\.[a-z0-9_]{8}\.fgbench-part"
"""End of the name of a temporary file or folder, without the suffix of the file; a regular expression."""
_TEMPORARY = re.compile(rf"\..+{TEMPORARY_END}(\.\w+)?")
"""Name of a temporary file of `write_atomic`."""
_KINDS = {
    stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}  # fmt: skip


def cache_folder() -> Path:
    """Return the folder of everything that can be computed or downloaded again.

    It holds decoded pixels, feature maps, file hashes, downloads, indexes of records and drawn charts. FGBENCH_CACHE
    names it.

    Raises:
        FgbenchError: there is no home folder, or FGBENCH_CACHE names the home folder of an unknown user.
    """
    return expand_user(Path(os.environ.get("FGBENCH_CACHE") or "~/.cache/fgbench"))


def expand_user(path: Path) -> Path:
    """Return a path with the home folder in place of `~` or `~user`.

    Raises:
        FgbenchError: the home folder is not known.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise FgbenchError(
            f"the home folder of {path.parts[0]} is not known",
            "name the folder with its whole path; FGBENCH_CACHE names that of the cache",
        ) from error


def storage_error(error: OSError, path: Path, verb: str = "write") -> FgbenchError:
    """Return the error to raise when reading or writing `path` failed, such as for a full disk or a missing permission.

    Args:
        error: the error of the system.
        path: the file or folder that could not be used.
        verb: what could not be done: `write`, or `use` if that is not known.
    """
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return FgbenchError(
            f"the disk of {path.parent} is full: {reason}", "free space there and run the command again"
        )
    if error.errno in _FORBIDDEN:
        return FgbenchError(
            f"cannot {verb} {path}: {reason}", "choose another folder, or get the permission to write there"
        )
    if error.errno == errno.ENAMETOOLONG:
        return FgbenchError(f"cannot {verb} {path.name[:40]}…: {reason}", "choose a shorter name")
    if place := next((parent for parent in path.parents if _is_no_folder(parent)), None):
        kind = _kind(place)
        return FgbenchError(f"cannot {verb} {path}: {place} is {kind}, not a folder", f"move {place} elsewhere")
    if os.path.isdir(path):  # noqa: PTH112 - False where the disk does not answer
        return FgbenchError(f"cannot {verb} {path}: it is a folder", "choose another file name")
    if error.errno == errno.EEXIST:
        return FgbenchError(f"{path} is {_kind(path)}, not a folder", "choose another folder")
    return FgbenchError(f"cannot {verb} {path}: {reason}", f"check the folder {path.parent}")


def _is_no_folder(path: Path) -> bool:
    """Return True if something is at a path and is not a folder; False where the disk does not answer."""
    return os.path.exists(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112


def machine_error(error: OSError | MemoryError) -> FgbenchError:
    """Return the error to raise for an error of the system whose place is not known, or for missing memory."""
    if isinstance(error, MemoryError):
        detail = f": {error}" if str(error) else ""
        return FgbenchError(f"the memory is not enough{detail}", "close other programs, or use fewer --jobs")
    if isinstance(error.filename, str | bytes | os.PathLike):
        return storage_error(error, Path(os.fsdecode(error.filename)), "use")
    return FgbenchError(f"the system reports: {error.strerror or error}", "check the disk and run the command again")


def make_folder(folder: Path) -> None:
    """Make a folder unless it exists, and check that files can be written into it.

    Raises:
        FgbenchError: a file is in its place, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise storage_error(error, folder) from error


def _kind(path: Path) -> str:
    """Return what a path is, in words."""
    try:
        return kind_of_special_file(path) or "a file"
    except OSError:
        return "a symbolic link to nothing"


def kind_of_special_file(path: Path) -> str:
    """Return what a path is if it is not a regular file: a folder, a FIFO, a device or a socket; empty for a file.

    Raises:
        OSError: there is no such path.
    """
    mode = path.stat().st_mode
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "not a regular file")


def read_bytes(path: Path, limit: int = 1 << 40) -> bytes:
    """Return the content of a regular file. A FIFO or a device is refused, so that the program does not wait for it.

    Args:
        path: the file.
        limit: largest number of bytes.

    Raises:
        OSError: the file is missing, cannot be read, is not a regular file, or is larger than `limit`.
    """
    if kind := kind_of_special_file(path):
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    if (size := path.stat().st_size) > limit:
        raise OSError(errno.EINVAL, f"it has {size:,} bytes, more than {limit:,}", str(path))
    return path.read_bytes()


def read_text(path: Path) -> str:
    """Return the text of a regular file in UTF-8.

    Raises:
        OSError: as for `read_bytes`.
        UnicodeDecodeError: the content is not UTF-8.
    """
    return read_bytes(path).decode("utf-8")


def read_marked_text(path: Path) -> str:
    r"""Return the text of a regular file in UTF-8, or in UTF-16 with a byte order mark. Lines end in `\n`.

    Editors of Windows write a mark before the text, and other ends of lines. The result has neither.

    Raises:
        OSError: as for `read_bytes`.
        UnicodeDecodeError: the content is neither, or has a zero byte.
    """
    content = read_bytes(path)
    mark, encoding = next(((mark, name) for mark, name in _MARKS.items() if content.startswith(mark)), (b"", "utf-8"))
    text = content[len(mark) :].decode(encoding)
    if "\0" in text:
        place = content.find(b"\0", len(mark))
        raise UnicodeDecodeError(encoding, content, place, place + 1, "a zero byte, as in UTF-16 without its mark")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that readers see all of it or nothing.

    The temporary file beside it is locked while it is written. `remove_leftovers` removes the unlocked ones, which
    killed programs left.

    Args:
        path: the file; its folders are made. A symbolic link within its folder is followed.
        write: called with a temporary path beside `path`, which is then renamed to `path`.

    Raises:
        FgbenchError: the disk is full, the folder cannot be written, a file is in the place of a folder, or `path` is
            a device, a FIFO or a symbolic link to another folder.
    """
    try:
        path = _regular_target(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=f".fgbench-part{path.suffix}")
        try:
            temporary = Path(name)
            lock_until_closed(handle)
            write(temporary)
            os.fsync(handle)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            os.close(handle)
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error


def _regular_target(path: Path) -> Path:
    """Return the file to replace when `path` is written: `path`, or the file in its folder that it links to."""
    if path.is_symlink():
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise FgbenchError(
                f"cannot write {path}: it is a symbolic link that leads to itself",
                "delete the link, or choose another name",
            )
        if not target.is_relative_to(os.path.realpath(path.parent)):
            raise FgbenchError(f"{path} is a symbolic link to {target}", f"name the file {target} itself")
        path = target
    if path.exists() and not path.is_dir() and (kind := kind_of_special_file(path)):
        raise FgbenchError(f"cannot write {path}: it is {kind}, not a file", "choose another file name")
    return path


def lock_until_closed(handle: int) -> bool:
    """Lock an open file until it is closed or the process ends; return False if another process has locked it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, or a file system without locks
        return False
    return True


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the temporary files that killed programs left in a folder; return their paths.

    A temporary file that a running program is writing stays.
    """
    removed = []
    for path in _temporary_files(folder):
        with suppress(OSError):  # another process has removed it, or it belongs to another user
            handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                if lock_until_closed(handle):
                    path.unlink()
                    removed.append(path)
            finally:
                os.close(handle)
    return removed


def _temporary_files(folder: Path) -> Iterable[Path]:
    try:
        paths = sorted(folder.glob(".*.fgbench-part*"))
    except OSError:
        return []
    return [path for path in paths if _TEMPORARY.fullmatch(path.name) and path.is_file()]


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused: they are not JSON."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, atomically. A byte of a file name that is not UTF-8 becomes an escape sequence."""
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, atomically."""
    write_atomic(path, lambda temporary: temporary.write_bytes(content))

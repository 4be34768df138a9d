"""The folders that a night replaces: which may be replaced, and how.

A folder is replaced by a copy of the night that is built beside it as `.NAME.new`. The folder is called `.NAME.old`
until the copy has its name. Only what a night wrote is ever removed: the folders beside the target have a marker, and
everything in a folder is named as fgbench names it.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from fgbench.records.store import RECORDS
from fgbench.util.errors import FgbenchError
from fgbench.util.files import TEMPORARY_END, read_bytes, storage_error
from fgbench.util.folders import is_of_system, is_real_folder, remove_folder

SESSION_FILES = "benchmarks*.json"
"""Pattern of the files of pytest-benchmark in the folder of a night."""
MARKER = ".fgbench-night"
"""File in every folder that a night may replace."""
DECISION = "decision.json"
"""File of the decision on a night, in its folder."""
NIGHT_NAMES = {RECORDS, "work", "failures", "report", DECISION, MARKER}
"""Names in the folder of a night to judge, beside the files of pytest-benchmark. The folder is removed in the end."""
_RECORD_FILE = re.compile(r"[0-9a-f]{16}(\.json|(-[0-9a-f]{16})?\.npz|-\d+ .+\.jpg)")
"""Name of a record, its arrays or a picture."""
_TEMPORARY_RECORD_FILE = re.compile(rf"\.{_RECORD_FILE.pattern}{TEMPORARY_END}(\.\w+)?")
"""Name of a file of `write_atomic` that a killed program left."""


def check_replaceable(target: Path, *, ours: bool = False) -> None:
    """Check that everything in a folder was written by a night.

    Args:
        target: the folder; it may be missing.
        ours: accept a folder without marker, as earlier versions wrote it.

    Raises:
        FgbenchError: it is a file, has no marker, or contains a file that no night wrote.
    """
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise FgbenchError(f"{target} is not a folder", "choose another folder for the baseline")
    if (target / RECORDS).is_symlink():
        raise FgbenchError(f"{target / RECORDS} is a symbolic link", "move it elsewhere")
    names = {path.name for path in target.iterdir()}
    if names and MARKER not in names and not ours:
        raise FgbenchError(
            f"{target} was not written by fgbench nightly: it has no file {MARKER}",
            "move it elsewhere, choose another folder for the baseline, or allow that the night replaces everything "
            f"in it: touch {target / MARKER}",
        )
    if foreign := sorted(name for name in names - {MARKER, RECORDS} if not _is_session(name)):
        raise FgbenchError(f"{target} contains {foreign[0]}, which no night wrote", "move it elsewhere")
    check_files(target)


def check_night(night: Path) -> None:
    """Check that the folder of a night that is to be judged contains only what a night writes.

    Raises:
        FgbenchError: something else is there.
    """
    names = {path.name for path in night.iterdir()} - NIGHT_NAMES
    if foreign := sorted(name for name in names if not _is_session(name) and "fgbench-part" not in name):
        raise FgbenchError(f"{night} contains {foreign[0]}, which no night wrote", "move it elsewhere")
    check_files(night)


def check_files(night: Path) -> None:
    """Check that the records and times in a folder are files, and that nothing else is among the records.

    Raises:
        FgbenchError: something else is there.
    """
    records = night / RECORDS
    if os.path.lexists(records) and not records.is_dir():
        raise FgbenchError(f"{records} is not a folder", "move it elsewhere")
    for path in sorted(records.iterdir()) if records.is_dir() else []:
        if not (
            is_of_system(path.name) or _RECORD_FILE.fullmatch(path.name) or _TEMPORARY_RECORD_FILE.fullmatch(path.name)
        ):
            raise FgbenchError(f"{records} contains {path.name}, which no night wrote", "move it elsewhere")
    for path in _files(night):
        if not path.is_file():
            raise FgbenchError(f"{path} is not a file", "move it elsewhere")


def check_writable(target: Path) -> None:
    """Check that a folder can be made or replaced: make the folder of its copy, and remove it.

    The caller has called `restore`.

    Raises:
        FgbenchError: the disk cannot be written, or the folder is a mount point, which cannot be renamed.
    """
    new, _ = _beside(target)
    if os.path.ismount(target):
        raise FgbenchError(f"{target} is a mount point and cannot be replaced", "choose another folder")
    try:
        new.mkdir(parents=True)
        new.rmdir()
        if target.is_dir() and not os.access(target, os.W_OK | os.X_OK):  # its files are removed
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise storage_error(error, target) from error


def restore(target: Path) -> None:
    """Bring a folder that was being replaced back to its last whole state.

    Raises:
        FgbenchError: a folder beside it is not one of a night, or the disk cannot be written.
    """
    new, old = _beside(target)
    try:
        for path in (new, old):
            _check_beside(path)
        if not target.exists() and (old / MARKER).is_file():
            old.rename(_real(target))
        for path in (new, old):
            _remove(path)
    except OSError as error:
        raise storage_error(error, target) from error


def replace(night: Path, target: Path) -> None:
    """Replace a folder by a copy of a night. The caller has called `restore` and `check_replaceable`.

    Raises:
        FgbenchError: the disk cannot be written.
    """
    new, old = _beside(target)
    try:
        try:
            _copy(night, new)
        except OSError:
            with suppress(OSError):  # free the space of a full disk
                _remove(new)
            raise
        if target.is_dir():
            if not (target / MARKER).exists():  # of an earlier version
                (target / MARKER).touch()
            _real(target).rename(old)
        new.rename(_real(target))
        _remove(old)
    except OSError as error:
        raise storage_error(error, target) from error


def _real(target: Path) -> Path:
    """Return the folder that a path or a symbolic link names. A loop of links stays, and the system refuses it."""
    return Path(os.path.realpath(target))


def _beside(target: Path) -> tuple[Path, Path]:
    """Return the paths of the copy and of the former folder."""
    real = _real(target)
    if not real.name:
        raise FgbenchError(f"{target} has no name and cannot be replaced", "choose another folder")
    return real.with_name(f".{real.name}.new"), real.with_name(f".{real.name}.old")


def _check_beside(folder: Path) -> None:
    if is_real_folder(folder):
        check_replaceable(folder)


def _remove(folder: Path) -> None:
    """Remove a folder of a night beside its target, the marker last: what a killed program leaves still has it."""
    _check_beside(folder)
    if not folder.is_dir():
        return
    remove_folder(folder / RECORDS)
    for path in folder.iterdir():
        if path.is_file() and _is_session(path.name):
            path.unlink()
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()


def _copy(night: Path, target: Path) -> None:
    """Copy the records and times of a night, without unfinished runs and temporary files."""
    target.mkdir(parents=True)
    (target / MARKER).touch()
    if (night / RECORDS).is_dir():
        (target / RECORDS).mkdir()
    for path in sorted(_files(night)):
        with (target / path.relative_to(night)).open("wb") as file:
            file.write(read_bytes(path))
            file.flush()
            os.fsync(file.fileno())


def _files(night: Path) -> Iterator[Path]:
    """Yield the records and times of a night."""
    yield from night.glob(SESSION_FILES)
    yield from (
        path for path in night.glob(f"{RECORDS}/*") if not path.name.startswith(".") and not is_of_system(path.name)
    )


def _is_session(name: str) -> bool:
    """Return True for the name of a file of pytest-benchmark, or of a file that macOS or Windows adds."""
    return fnmatch(name, SESSION_FILES) or is_of_system(name)

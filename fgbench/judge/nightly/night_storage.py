"""The folders of nights: which may be replaced, how they are replaced, and how an interrupted night is finished.

A judged night is kept in steps, and a kill or a full disk at any moment loses nothing:

1. The decision is written into `tonight`, which then gets the name `.judged`. Before that, the night is judged again.
2. The night is added to the history, and a copy of it replaces the baselines. Each of these steps can be repeated.
3. `.judged` is removed.

A folder is replaced by a copy that is built beside it as `.NAME.new`. The folder is called `.NAME.old` until the copy
has its name.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ConfigDict, ValidationError

from fgbench.judge.nightly.findings import Comparison
from fgbench.judge.nightly.history import Night, append_night, read_history
from fgbench.records.store import RECORDS
from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_bytes, read_text, remove_leftovers, storage_error, write_text
from fgbench.util.validation import StrictModel

TONIGHT, BASELINE, REFUSED, FIXED = "tonight", "baseline", "refused", "fixed"
"""Folders of a results folder: the night to judge, the last that passed, the last that failed, and the fixed baseline
(the first night or the last accepted one)."""
SESSION_FILES = "benchmarks*.json"
"""Pattern of the files of pytest-benchmark in the folder of a night."""
MARKER = ".fgbench-night"
"""File in every folder that a night may replace."""
_JUDGED, _REMOVED = ".judged", ".judged-removed"
"""Names of the folder of a judged night: until it is kept, and while it is removed."""
_DECISION = "decision.json"


class Decision(StrictModel):
    """The result of a judged night, and where the night is kept."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    result: Comparison
    """The comparison with the baselines."""
    night: Night
    """The line of the history."""
    earlier_nights: int
    """Number of nights in the history before this one."""
    accept: bool
    """True if the user gave `--accept`."""
    fixed: str
    """The fixed baseline that the night replaces, relative to the results folder; empty if it replaces none."""

    def targets(self, folder: Path) -> list[Path]:
        """Return the folders that the night replaces."""
        fixed = [folder / self.fixed] if self.fixed else []
        return [*fixed, folder / (BASELINE if self.night.passed else REFUSED)]


@contextmanager
def lock_nights(folder: Path) -> Iterator[None]:
    """Hold the lock of a results folder of nights, and remove what killed programs left there.

    Raises:
        FgbenchError: there is no such folder, another program judges its night, or a folder is a symbolic link.
    """
    if not folder.is_dir():
        raise FgbenchError(f"no folder {folder}", "tox -e nightly")
    if (folder / TONIGHT).is_symlink():
        raise FgbenchError(f"{folder / TONIGHT} is a symbolic link", f"move the night itself to {folder / TONIGHT}")
    lock = FileLock(folder / ".nightly.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FgbenchError(f"another fgbench judges the night of {folder}", "wait until it has ended") from error
    except OSError as error:
        raise storage_error(error, folder / ".nightly.lock") from error
    try:
        remove_leftovers(folder)
        shutil.rmtree(folder / _REMOVED, ignore_errors=True)
        yield
    finally:
        lock.release()


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
    names = sorted(path.name for path in target.iterdir())
    foreign = [name for name in names if name not in {MARKER, RECORDS} and not fnmatch(name, SESSION_FILES)]
    if names and MARKER not in names and not ours:
        raise FgbenchError(
            f"{target} was not written by fgbench nightly: it has no file {MARKER}",
            f"choose another folder, or allow that the night replaces everything in it: touch {target / MARKER}",
        )
    if foreign:
        raise FgbenchError(f"{target} contains {foreign[0]}, which no night wrote", "move it elsewhere")


def restore(target: Path) -> None:
    """Bring a folder that was being replaced back to its last whole state.

    Raises:
        FgbenchError: a folder beside it contains a file that no night wrote, or the disk cannot be written.
    """
    new, old = _beside(target)
    try:
        if old.is_dir() and not target.exists():
            old.rename(target.resolve())
        for path in (new, old):
            _remove(path)
    except OSError as error:
        raise storage_error(error, target) from error


def commit(folder: Path, decision: Decision) -> None:
    """Write the decision on the night, and give the night the name under which `keep_night` finds it.

    Raises:
        FgbenchError: a folder to replace is not one of a night, or the disk cannot be written.
    """
    for target in decision.targets(folder):
        check_replaceable(target, ours=_is_ours(target, folder))
    write_text(folder / TONIGHT / _DECISION, decision.model_dump_json())
    try:
        (folder / TONIGHT).rename(folder / _JUDGED)
    except OSError as error:
        raise storage_error(error, folder / TONIGHT) from error


def read_decision(folder: Path) -> Decision | None:
    """Return the decision on a night that is not finished; None if there is none.

    Raises:
        FgbenchError: the decision cannot be read.
    """
    path = folder / _JUDGED / _DECISION
    if not (folder / _JUDGED).is_dir():
        return None
    try:
        return Decision.model_validate_json(read_text(path))
    except (OSError, ValidationError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise FgbenchError(
            f"{path} cannot be read: {first}", f"judge the night again: mv {path.parent} {folder / TONIGHT}"
        ) from error


def keep_night(folder: Path, decision: Decision) -> None:
    """Add a judged night to the history, and replace the baselines by it. A second call changes nothing.

    Raises:
        FgbenchError: a folder to replace is not one of a night, or the disk cannot be written.
    """
    if len(read_history(folder)) <= decision.earlier_nights:
        append_night(folder, decision.night)
    for target in decision.targets(folder):
        restore(target)
        check_replaceable(target, ours=_is_ours(target, folder))
        try:
            _replace(folder / _JUDGED, target)
        except OSError as error:
            raise storage_error(error, target) from error


def finish_night(folder: Path) -> None:
    """Remove a judged night, which is kept."""
    judged, removed = folder / _JUDGED, folder / _REMOVED
    try:
        judged.rename(removed)  # a part of a night must not be taken for a night
        shutil.rmtree(removed)
    except OSError as error:
        raise storage_error(error, judged) from error


def _is_ours(target: Path, folder: Path) -> bool:
    """Return True for the folders that earlier versions wrote without a marker."""
    return target in {folder / name for name in (BASELINE, REFUSED, FIXED)}


def _beside(target: Path) -> tuple[Path, Path]:
    target = target.resolve()
    return target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")


def _remove(target: Path) -> None:
    check_replaceable(target, ours=True)
    if target.is_dir():
        shutil.rmtree(target)


def _replace(night: Path, target: Path) -> None:
    """Replace a folder by a copy of a night."""
    new, old = _beside(target)
    try:
        _copy(night, new)
    except OSError:
        with suppress(OSError):  # free the space of a full disk
            shutil.rmtree(new)
        raise
    if target.is_dir():
        target.resolve().rename(old)
    new.rename(target.resolve())
    _remove(old)


def _copy(night: Path, target: Path) -> None:
    """Copy the records and times of a night, without unfinished runs and temporary files."""
    target.mkdir(parents=True)
    (target / MARKER).touch()
    records = [path for path in night.glob(f"{RECORDS}/*") if not path.name.startswith(".")]
    if (night / RECORDS).is_dir():
        (target / RECORDS).mkdir()
    for path in sorted([*night.glob(SESSION_FILES), *records]):
        with (target / path.relative_to(night)).open("wb") as file:
            file.write(read_bytes(path))
            file.flush()
            os.fsync(file.fileno())

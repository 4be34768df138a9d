"""The steps in which a judged night is kept, and how an interrupted night is finished.

A judged night is kept in steps, and a kill or a full disk at any moment loses nothing:

1. The decision is written into `tonight`, which then gets the name `.judged`. Before that, the night is judged again.
2. The night is added to the history, and a copy of it replaces the baselines. Each of these steps can be repeated.
3. `.judged` is removed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ConfigDict, ValidationError

from fgbench.judge.nightly.findings import Comparison
from fgbench.judge.nightly.history import Night, append_night, read_history
from fgbench.judge.nightly.night_folders import DECISION, check_replaceable, check_writable, replace, restore
from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_text, remove_leftovers, storage_error, write_text
from fgbench.util.folders import is_real_folder, no_folder_error, remove_folder
from fgbench.util.validation import StrictModel, explain

TONIGHT, BASELINE, REFUSED, FIXED = "tonight", "baseline", "refused", "fixed"
"""Folders of a results folder: the night to judge, the last that passed, the last that failed, and the fixed baseline
(the first night or the last accepted one)."""
_JUDGED, _REMOVED = ".judged", ".judged-removed"
"""Names of the folder of a judged night: until it is kept, and while it is removed."""


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
        raise no_folder_error(folder, "tox -e nightly")
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
        try:
            remove_folder(folder / _REMOVED)
        except OSError as error:
            raise storage_error(error, folder / _REMOVED) from error
        yield
    finally:
        lock.release()


def check_outside(folder: Path, fixed: Path) -> None:
    """Check that the fixed baseline is not in a folder that is removed when the night is kept.

    Raises:
        FgbenchError: it is in one.
    """
    place = Path(os.path.realpath(fixed))
    for name in (TONIGHT, _JUDGED, _REMOVED):
        if place.is_relative_to(os.path.realpath(folder / name)):
            raise FgbenchError(
                f"the fixed baseline {fixed} is in the night to judge", "choose another folder for --fixed"
            )


def commit(folder: Path, decision: Decision) -> None:
    """Write the decision on the night, and give the night the name under which `keep_night` finds it.

    Raises:
        FgbenchError: a folder to replace is not one of a night, or the disk cannot be written.
    """
    for target in decision.targets(folder):
        check_replaceable(target, ours=_is_ours(target, folder))
        check_writable(target)
    write_text(folder / TONIGHT / DECISION, decision.model_dump_json())
    try:
        (folder / TONIGHT).rename(folder / _JUDGED)
    except OSError as error:
        raise storage_error(error, folder / TONIGHT) from error


def read_decision(folder: Path) -> Decision | None:
    """Return the decision on a night that is not finished; None if there is none.

    Raises:
        FgbenchError: the decision cannot be read.
    """
    judged, tonight = folder / _JUDGED, folder / TONIGHT
    if not is_real_folder(judged):
        return None
    try:
        return Decision.model_validate_json(read_text(judged / DECISION))
    except (OSError, ValueError) as error:
        again = f"judge the night again: mv {judged} {tonight}"
        hint = f"move {judged} elsewhere; it is the night before {tonight}" if os.path.lexists(tonight) else again
        raise FgbenchError(f"{judged / DECISION} cannot be read: {_reason(error)}", hint) from error


def _reason(error: OSError | ValueError) -> str:
    """Return why a decision cannot be read."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, ValidationError) and error.errors()[0]["type"] != "json_invalid":
        return explain(error, Decision)
    return "it is not JSON"


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
        replace(folder / _JUDGED, target)


def finish_keeping(folder: Path, decision: Decision) -> None:
    """Keep the night of an interrupted program, as `keep_night` does; if that fails, the hint names the way out.

    Raises:
        FgbenchError: as for `keep_night`.
    """
    try:
        keep_night(folder, decision)
    except FgbenchError as error:
        way_out = f"or give up the interrupted night: move {folder / _JUDGED} elsewhere"
        raise FgbenchError(error.args[0], f"{error.hint}; {way_out}" if error.hint else way_out) from error


def finish_night(folder: Path) -> None:
    """Remove a judged night, which is kept."""
    judged, removed = folder / _JUDGED, folder / _REMOVED
    try:
        judged.rename(removed)  # a part of a night must not be taken for a night
        remove_folder(removed)
    except OSError as error:
        raise storage_error(error, judged) from error


def _is_ours(target: Path, folder: Path) -> bool:
    """Return True for the folders that earlier versions wrote without a marker."""
    return target in {folder / name for name in (BASELINE, REFUSED, FIXED)}

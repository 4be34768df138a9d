"""The array file of a record: `<run id>.npz`, and how it is replaced together with its record.

The new array file is first written beside the old one, as `<run id>-<hash>.npz`, then the new record, and only then
the array file takes the place of the old one. The old record therefore finds the old arrays, and the new record the new
ones, also after a kill at any moment.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fgbench.records.copied_files import is_copy
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_bytes
from fgbench.util.hashing import ID_LENGTH


def array_path(folder: Path, run_id: str, sha256: str) -> Path:
    """Return the array file with this hash: the one beside the old file if a replacement was interrupted.

    Args:
        folder: folder of records.
        run_id: id of the run.
        sha256: SHA-256 of the array file, as the record names it.
    """
    beside = _beside(folder, run_id, sha256)
    return beside if beside.is_file() else folder / f"{run_id}.npz"


def write_pair(folder: Path, run_id: str, arrays: bytes, sha256: str, write_record: Callable[[], object]) -> None:
    """Write an array file and its record, so that a reader never finds the record of another array file.

    Args:
        folder: folder of records.
        run_id: id of the run.
        arrays: content of the array file.
        sha256: its SHA-256.
        write_record: writes the record, atomically.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """
    if not (folder / f"{run_id}.json").exists():
        write_bytes(folder / f"{run_id}.npz", arrays)
        write_record()
        return
    write_bytes(_beside(folder, run_id, sha256), arrays)
    write_record()
    settle(folder, run_id, sha256)


def settle(folder: Path, run_id: str, sha256: str) -> None:
    """Finish the replacement of an array file whose record is written, and remove files of interrupted replacements."""
    beside = _beside(folder, run_id, sha256)
    if beside.is_file():
        beside.replace(folder / f"{run_id}.npz")
    for path in folder.glob(f"{run_id}-*.npz"):
        path.unlink(missing_ok=True)


def unnamed_arrays(folder: Path, sha256_of: Callable[[str], str]) -> list[str]:
    """Return the names of array files that no record names, which an interrupted run or a deleted record leaves.

    Args:
        folder: folder of records.
        sha256_of: returns the hash of the array file that the record of a run names; it may raise FgbenchError.
    """
    unnamed = []
    for path in sorted(folder.glob("[!.]*.npz")):
        run_id, _, mark = path.stem.partition("-")
        is_named = (folder / f"{run_id}.json").exists()
        if is_named and mark:
            with suppress(FgbenchError):
                is_named = mark == sha256_of(run_id)[:ID_LENGTH]
        if not is_named and not is_copy(folder, path.name):
            unnamed.append(path.name)
    return unnamed


def _beside(folder: Path, run_id: str, sha256: str) -> Path:
    return folder / f"{run_id}-{sha256[:ID_LENGTH]}.npz"

"""Copies of the files of records that file managers, browsers and programs that synchronise folders leave beside them.

Examples are `<run id> (1).json`, `<run id> - Copy.json` and `<run id>.sync-conflict-20260101-120000-ABCDEFG.json`. A
copy of equal content is no second run. A copy of other content is refused as a record under the name of another run.
"""

import filecmp
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_NAME = re.compile(rf"{_ID.pattern}(\.json|(-[0-9a-f]{{16}})?\.npz)")
"""Name of a record, or of an array file, also of one that replaces another."""


def is_copy(folder: Path, name: str) -> bool:
    """Return True if a file of a folder is a copy, byte by byte, of the file of the run that its name contains.

    A file that cannot be read is no copy; its reader names the reason.

    Args:
        folder: folder of records.
        name: of a record or an array file. With the name of a run it is no copy, which costs no path.
    """
    if _NAME.fullmatch(name) or not (found := _ID.search(name)):
        return False
    path = folder / name
    original = folder / f"{found[0]}{path.suffix}"
    try:
        return original.is_file() and path.is_file() and filecmp.cmp(path, original, shallow=False)
    except OSError:
        return False


def record_files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder that have the name of a record."""
    with suppress(OSError):
        yield from (path for path in folder.iterdir() if path.suffix == ".json" and _NAME.fullmatch(path.name))


def has_records(folder: Path) -> bool:
    """Return True if a folder contains a file with the name of a record."""
    return next(record_files(folder), None) is not None


def copies(folder: Path) -> list[str]:
    """Return the names of the copies of records and array files in a folder. Hidden files are left out."""
    names = [path.name for pattern in ("[!.]*.json", "[!.]*.npz") for path in folder.glob(pattern)]
    return sorted(name for name in names if is_copy(folder, name))


def pictures_by_kind(pictures: Iterable[Path]) -> dict[str, Path]:
    """Return the pictures of one run by kind, sorted by number, without copies of other ones.

    Args:
        pictures: files named `<run id>-<number> <kind>.jpg`.
    """
    by_kind: dict[str, Path] = {}
    for path in sorted(pictures, key=lambda path: path.stem):
        kind = path.stem.partition("-")[2].partition(" ")[2]
        longer_than = [other for name, other in by_kind.items() if kind.startswith(name)]
        if not any(filecmp.cmp(path, other, shallow=False) for other in longer_than):
            by_kind[kind] = path
    return by_kind

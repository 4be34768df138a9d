"""The one move that mends a data set whose files are on this machine, but not where its reader looks for them."""

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fgbench.util.folders import is_of_system

DEPTH = 3
"""Number of levels of folders that are searched."""
MOST_FOLDERS = 2000
"""Number of folders that are searched. Data sets have a folder for each of their classes."""


def mending_move(folder: Path, needed: Sequence[str]) -> str:
    """Return the command that moves misplaced files of a data set to their place; empty if no single one does.

    Args:
        folder: folder of the data set.
        needed: files and folders that must be in it.
    """
    folders = [folder, *_folders_below(folder)]
    # All files lie in one inner folder.
    whole = [inner for inner in folders[1:] if all(os.path.lexists(inner / name) for name in needed)]
    if len(whole) == 1:
        return f"mv {shlex.quote(str(whole[0]))}/* {shlex.quote(str(folder))}/"
    # All files lie beside the folder in which they must be, such as `data`.
    common, *others = {name.partition("/")[0] for name in needed}
    rest = [name.partition("/")[2] for name in needed]
    if not others and all(name and os.path.lexists(folder / name) for name in rest):
        outer, inner = shlex.quote(str(folder)), shlex.quote(str(folder.with_name(common)))
        if not os.path.lexists(folder.with_name(common)):
            return f"mv {outer} {inner} && mkdir {outer} && mv {inner} {outer}/"
    missing = [name for name in needed if not os.path.lexists(folder / name)]
    return file_move(folder, missing[0]) if len(missing) == 1 else ""


def file_move(folder: Path, name: str) -> str:
    """Return the command that brings a file or folder of a data set to its place; empty if it is not there once.

    Args:
        folder: folder of the data set.
        name: path of the file or folder in it.
    """
    target, folders = folder / name, [folder, *_folders_below(folder)]
    places = [path for inner in folders if os.path.lexists(path := inner / target.name) and path != target]
    # A folder with other files of the same names is another copy, or another data set.
    places = [path for path in places if not _names(path.parent) & (_names(target.parent) - {target.name})]
    # An inner folder of the same name belongs to the outer one.
    places = [path for path in places if not any(path.is_relative_to(other) for other in places if other != path)]
    if len(places) != 1:
        return ""
    make = "" if target.parent.is_dir() else f"mkdir -p {shlex.quote(str(target.parent))} && "
    return f"{make}mv {shlex.quote(str(places[0]))} {shlex.quote(str(target))}"


def renamed_folders(roots: Sequence[Path], is_complete: Callable[[Path], bool]) -> list[Path]:
    """Return the folders in `roots` that contain a data set under another name; of links to one folder, the folder.

    Args:
        roots: folders of data sets.
        is_complete: returns True for a folder that contains the data set.
    """
    folders = [folder for root in roots for folder in _folders_in(root) if is_complete(folder)]
    folders.sort(key=Path.is_symlink)
    return list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())[::-1]


def renaming_move(folder: Path, name: str) -> str:
    """Return the command that gives the folder of a data set its name; `export` if something else has this name."""
    target = folder.with_name(name)
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        # mv would put the folder into it.
        return f"rmdir {shlex.quote(str(target))} && mv {shlex.quote(str(folder))} {shlex.quote(str(target))}"
    if os.path.lexists(target):
        return f'export FGBENCH_DATA={shlex.quote(str(folder))}{os.pathsep}"$FGBENCH_DATA"'
    return f"mv {shlex.quote(str(folder))} {shlex.quote(str(target))}"


def export_of_outer(roots: Sequence[Path], is_complete: Callable[[Path], bool]) -> tuple[Path, str] | None:
    """Return the folder of a data set of which one of `roots` is an inner folder, and the command that names it.

    Args:
        roots: the folders of FGBENCH_DATA.
        is_complete: returns True for a folder that contains the data set.
    """
    for root in roots:
        for outer in (*root.absolute().parents[:DEPTH], *root.resolve().parents[:DEPTH]):
            if is_complete(outer):
                folders = os.pathsep.join(str(outer if folder == root else folder) for folder in roots)
                return outer, f"export FGBENCH_DATA={shlex.quote(folders)}"
    return None


def is_empty(folder: Path) -> bool:
    """Return True for a folder that contains nothing, or only files of the system."""
    return folder.is_dir() and not _names(folder)


def _names(folder: Path) -> set[str]:
    """Return the names of the files and folders in a folder, without those of the system."""
    try:
        return {path.name for path in folder.iterdir() if not is_of_system(path.name)}
    except OSError:
        return set()


def _folders_below(folder: Path) -> Iterator[Path]:
    """Yield the folders in a folder, level by level."""
    level, count = [folder], 0
    for _ in range(DEPTH):
        level = [inner for outer in level for inner in _folders_in(outer)]
        for inner in level:
            if (count := count + 1) > MOST_FOLDERS:
                return
            yield inner


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder; those of the system and hidden ones are left out."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if not is_of_system(name)]

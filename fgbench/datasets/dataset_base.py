"""Base class of data sets: where the files are, and how to download, generate and read them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from fgbench.datasets.index import Index
from fgbench.datasets.misplaced import (
    export_of_outer,
    file_move,
    is_empty,
    mending_move,
    renamed_folders,
    renaming_move,
)
from fgbench.datasets.reid import ReidIndex
from fgbench.datasets.usable_splits import check_splits
from fgbench.util.damaged import set_aside
from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.files import cache_folder, expand_user
from fgbench.util.locks import locked

IndexT = TypeVar("IndexT", bound=Index | ReidIndex)
"""Type of the index that a data set is read as."""


def data_roots() -> list[Path]:
    """Return the folders to search for data sets: those of FGBENCH_DATA, then the download cache."""
    user_folders = [expand_user(Path(part)) for part in os.environ.get("FGBENCH_DATA", "").split(os.pathsep) if part]
    return [*user_folders, cache_folder() / "data"]


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the official files of a data set can be obtained."""

    url: str
    """Address of the official archive; empty if it cannot be downloaded."""
    md5: str
    """Published MD5 checksum of the archive in hex; empty if there is no archive."""
    page: str
    """Address of the data set's web page."""
    no_url_reason: str = ""
    """Why `url` is empty."""
    files: dict[str, str] = field(default_factory=dict)
    """If `url` is empty: required file or folder in the data set's folder -> its content."""


@dataclass(frozen=True, slots=True)
class DatasetBase(Generic[IndexT]):
    """A data set that is read as an `IndexT`."""

    name: str
    """Name in recipes and on the command line."""
    title: str
    """Name in print."""
    folder: str
    """Name of the data set's folder under `FGBENCH_DATA`."""
    load: Callable[[Path, str], IndexT]
    """Function (folder, name) -> index. It reads the annotations and opens no image."""
    official: dict[str, str] = field(default_factory=dict)
    """Kind of annotation -> hash of the official annotation. Empty if unknown, and for generated data."""
    tables: dict[str, str] = field(default_factory=dict)
    """Kind of annotation or count -> the file that it is read from."""
    counts: dict[str, int] = field(default_factory=dict)
    """Expected `counts` of the index for the official data. Empty if unknown."""
    needed: tuple[str, ...] = ()
    """Files and folders that `load` reads first. A folder without one of them does not count as this data set."""
    other_layouts: tuple[tuple[str, ...], ...] = ()
    """Other sets of files and folders that `load` can read instead of `needed`."""
    other_folders: tuple[str, ...] = ()
    """Other names of the data set's folder under `FGBENCH_DATA`, as other programs leave it."""
    fits: Callable[[Path], bool] | None = None
    """Function (folder) -> True if files of the needed names are those of this data set, and not of another one. With
    it, a folder of any name is the data set if FGBENCH_DATA names it."""
    archive: Archive | None = None
    """Where to get the official files; None for generated data."""
    make: Callable[[Path], object] | None = None
    """Function that generates the data set into a new folder; None for data that are not generated."""

    @property
    def synthetic(self) -> bool:
        """True for generated data, whose values are not comparable with printed numbers."""
        return self.make is not None

    def find(self) -> Path:
        """Return the folder of this data set. The first call generates a synthetic data set.

        Raises:
            MissingError: the data set is in neither `FGBENCH_DATA` nor the download cache, or is incomplete there.
        """
        if self.make is not None:
            return self._generated(self.make)
        roots = data_roots()
        named = [folder for root in roots for folder in self._named_folders(root) if folder.is_dir()]
        named = [folder for folder in named if not is_empty(folder)]
        for folder in named:
            if not self.missing_in(folder):
                return folder
        # FGBENCH_DATA may name the folder of the data set under another name.
        for folder in roots:
            if self._looks_complete(folder):
                return folder
        if named:
            raise self.incomplete_error(named[0])
        raise self._missing_error(roots)

    def _missing_error(self, roots: list[Path]) -> MissingError:
        """Return the error for a data set that is not where it must be, with the place where it is."""
        searched = ", ".join(str(root / self.folder) for root in roots)
        problem, hint = f"{self.title} is not on this machine (searched {searched})", f"fgbench data get {self.name}"
        users = roots[:-1]
        if renamed := renamed_folders(users, self._looks_complete):
            hint = renaming_move(renamed[0], self.folder)
            if len(renamed) > 1:
                problem = f"{self.title} is in {len(renamed)} folders of other names: {', '.join(map(str, renamed))}"
        elif found := export_of_outer(users, self._looks_complete):
            outer, hint = found
            problem = f"FGBENCH_DATA names a folder inside {outer}, which contains {self.title}"
        return MissingError("data", problem, hint)

    def _named_folders(self, root: Path) -> list[Path]:
        """Return where the data set may be: in the folder of its name, which archives often contain twice."""
        is_own = self.folder in {root.name, Path(os.path.realpath(root)).name}  # FGBENCH_DATA names the folder itself
        folders = [root / self.folder, *([root] if is_own else []), *(root / other for other in self.other_folders)]
        return [place for folder in folders for place in (folder, folder / self.folder)]

    def _looks_complete(self, folder: Path) -> bool:
        """Return True if a folder of any name contains this data set."""
        return self.fits is not None and not self.missing_in(folder) and self.fits(folder)

    def _generated(self, make: Callable[[Path], object]) -> Path:
        folder = cache_folder() / "data" / self.folder
        if not folder.is_dir() or self.missing_in(folder):
            with locked(folder, "set FGBENCH_CACHE to a folder that you can write"):
                if os.path.lexists(folder) and (missing := self.missing_in(folder)):
                    set_aside(folder, f"it has no {missing}")
                if not folder.is_dir():
                    make(folder)
        return folder

    def missing_in(self, folder: Path) -> str:
        """Return the first needed file or folder that a folder does not contain; empty if it contains all."""
        missing = [
            [name for name in needed if not (folder / name).exists()] for needed in (self.needed, *self.other_layouts)
        ]
        return missing[0][0] if all(missing) else ""

    def _move_of(self, folder: Path, error: FileNotFoundError) -> str:
        """Return the command that brings a file to the place in which it was not found; empty if it is nowhere."""
        try:
            file = Path(os.fsdecode(error.filename)).relative_to(folder)
        except (TypeError, ValueError):
            return ""
        return file_move(folder, str(file))

    def incomplete_error(self, folder: Path) -> MissingError:
        """Return the error for a folder with the name of this data set that does not contain what is needed."""
        return MissingError(
            "data",
            f"{folder} is not {self.title}, or not all of it: it has no {self.missing_in(folder)}",
            mending_move(folder, self.needed) or f"move it elsewhere, then: fgbench data get {self.name}",
        )

    def no_download_error(self, folder: Path) -> FgbenchError:
        """Return the error for a data set without a download address.

        Args:
            folder: where the user must put the files.
        """
        assert self.archive is not None
        width = max(map(len, self.archive.files), default=0) + 2
        lines = [f"{name:<{width}}{content}" for name, content in self.archive.files.items()]
        return FgbenchError(
            f"{self.title} cannot be downloaded: {self.archive.no_url_reason} (web page: {self.archive.page})",
            "\n    ".join([f"get a copy from elsewhere and put these files into {folder}:", *lines])
            + f"\n  then: fgbench data check {self.name}",
        )

    def index(self) -> IndexT:
        """Find and read the data set.

        Raises:
            MissingError: the data set is not on this machine.
            FgbenchError: an annotation file is missing or malformed.
        """
        return self.read(self.find())

    def read(self, folder: Path) -> IndexT:
        """Read the data set in a folder.

        Raises:
            FgbenchError: an annotation file is missing or malformed, or a split cannot be used.
        """
        try:
            index = self.load(folder, self.name)
        except FgbenchError as error:
            if isinstance(error.__cause__, FileNotFoundError) and (move := self._move_of(folder, error.__cause__)):
                raise FgbenchError(error.args[0], move) from error
            raise
        check_splits(index, folder, self.tables)
        return index

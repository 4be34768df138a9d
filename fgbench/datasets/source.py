"""One data set: where it is, and how it is got, made and read."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock

from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.files import cache_folder

Read = TypeVar("Read")
"""What its annotations are read as."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the official files are to be had."""

    url: str
    """The official archive; empty when there is none to download."""
    md5: str
    """Published checksum of the archive in hex."""
    page: str
    """The page a person would go to."""
    absent: str = ""
    """Why there is no url."""
    files: dict[str, str] = field(default_factory=dict)
    """Where there is no url: each file or folder that belongs into the data set's folder, and what it is."""


@dataclass(frozen=True, slots=True)
class Source(Generic[Read]):
    """One data set that fgbench knows, and that is read as a `Read`."""

    name: str
    """Its name in recipes and on the command line."""
    title: str
    """Its name in print."""
    folder: str
    """The folder it is kept in, under FGBENCH_DATA."""
    load: Callable[[Path, str], Read]
    """Reads the annotations under a folder."""
    official: dict[str, str] = field(default_factory=dict)
    """Hash of each official annotation; empty where it is not known, and for data made here."""
    tables: dict[str, str] = field(default_factory=dict)
    """The file each annotation, and each of the counts, stands in."""
    counts: dict[str, int] = field(default_factory=dict)
    """What the `counts` of what is read are for the official data, where it is known."""
    archive: Archive | None = None
    """None for data made here."""
    make: Callable[[Path], object] | None = None
    """Writes the data set into a folder that does not exist, for data made by code."""

    @property
    def synthetic(self) -> bool:
        """True for data made by code, whose numbers answer no printed one."""
        return self.make is not None

    def find(self) -> Path:
        """The folder of this data set; data made by code is made at the first call.

        Raises:
            MissingError: it is in neither FGBENCH_DATA nor the download cache.
        """
        if self.make is not None:
            return self._made(self.make)
        roots = [Path(part) for part in os.environ.get("FGBENCH_DATA", "").split(os.pathsep) if part]
        places = [place for root in [*roots, cache_folder() / "data"] for place in (root / self.folder, root)]
        for place in places:
            if place.name == self.folder and place.is_dir():
                return place
        looked = ", ".join(str(root / self.folder) for root in [*roots, cache_folder() / "data"])
        raise MissingError("data", f"{self.title} is not here (looked for {looked})", f"fgbench data get {self.name}")

    def _made(self, make: Callable[[Path], object]) -> Path:
        place = cache_folder() / "data" / self.folder
        if not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{place}.lock"):
                if not place.is_dir():
                    make(place)
        return place

    def by_hand(self, place: Path) -> FgbenchError:
        """What to tell when the data set cannot be downloaded, and would belong into `place`."""
        assert self.archive is not None
        width = max(map(len, self.archive.files), default=0) + 2
        lines = [f"{name:<{width}}{what}" for name, what in self.archive.files.items()]
        return FgbenchError(
            f"{self.title} cannot be downloaded: {self.archive.absent} (its page: {self.archive.page})",
            "\n    ".join([f"get a copy in another way and put it into {place}, which then holds", *lines])
            + f"\n  then: fgbench data check {self.name}",
        )

    def index(self) -> Read:
        """The data set as read from where it is; raises MissingError or FgbenchError."""
        return self.load(self.find(), self.name)

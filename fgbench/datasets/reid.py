"""What the files of a re-identification data set say, without the pixels, and its fingerprint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fgbench.datasets.annotation_files import read_error
from fgbench.datasets.image_hash import hash_images
from fgbench.datasets.index import Index
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.hashing import hash_value

JUNK = -1
"""Identity of an image that counts neither as right nor as wrong."""
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


@dataclass(frozen=True)
class ReidSplit:
    """One division of a data set; each role is an array of rows of its `ReidIndex`, int64."""

    name: str
    """Such as `1a`; unique in the data set."""
    number: int
    """Splits of the same number share their training images: one training serves them all."""
    train: np.ndarray
    """Images to learn from. None of their identities is a query or is searched for."""
    query: np.ndarray
    """Images to search with."""
    gallery: np.ndarray
    """Images to search in, without junk. May hold the queries themselves where the data set does not part them: a
    metric leaves out the images that show the query's identity from the query's camera, and so the query."""


@dataclass(frozen=True)
class ReidIndex:
    """N images of persons: files, who is on them, which camera took them, and the official splits."""

    name: str
    """The data set, such as `market1501`."""
    root: Path
    """Folder that the files are relative to."""
    files: tuple[str, ...]
    """N paths of images relative to `root`, with forward slashes."""
    identities: np.ndarray
    """(N,) int64, the data set's own numbers of persons; `JUNK` where an image is to have no influence."""
    cameras: np.ndarray
    """(N,) int64, the data set's own numbers of cameras, from 1."""
    splits: tuple[ReidSplit, ...]
    """At least one; the first is the one that `split()` gives."""

    def __len__(self) -> int:
        return len(self.files)

    def split(self, name: str = "") -> ReidSplit:
        """The split called `name`, or the first; raises FgbenchError that names the nearest one."""
        found = {split.name: split for split in self.splits}
        if name and name not in found:
            raise FgbenchError(f"{self.name} has no split named {name!r}; {nearest(name, found)}")
        return found[name] if name else self.splits[0]

    def images(self, rows: np.ndarray) -> Index:
        """The images at `rows` as a method may see them in test: without identities and cameras.

        Their `ids` are the rows.
        """
        return self._index(rows, np.zeros(len(rows), dtype=np.int64), (), train=False)

    def training(self, split: ReidSplit) -> Index:
        """The training images of a split as a classification data set: a class an identity."""
        persons, labels = np.unique(self.identities[split.train], return_inverse=True)
        return self._index(split.train, labels.astype(np.int64), tuple(str(person) for person in persons), train=True)

    def _index(self, rows: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], *, train: bool) -> Index:
        return Index(
            name=self.name,
            root=self.root,
            ids=np.asarray(rows, dtype=np.int64),
            files=tuple(self.files[row] for row in rows),
            labels=labels,
            train=np.full(len(rows), train),
            classes=classes,
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many images, cameras and splits there are, and what the first split holds."""
        split = self.splits[0]
        return {
            "images": len(self),
            "train": len(split.train),
            "query": len(split.query),
            "gallery": len(split.gallery),
            "junk": int((self.identities == JUNK).sum()),
            "train_identities": len(np.unique(self.identities[split.train])),
            "test_identities": len(np.unique(self.identities[split.query])),
            "cameras": len(np.unique(self.cameras)),
            "splits": len(self.splits),
        }

    @cached_property
    def annotation_hashes(self) -> dict[str, str]:
        """A hash of each kind of annotation as parsed."""
        roles = [[s.name, s.number, s.train.tolist(), s.query.tolist(), s.gallery.tolist()] for s in self.splits]
        return {
            "images": hash_value(self.files),
            "identities": hash_value(self.identities.tolist()),
            "cameras": hash_value(self.cameras.tolist()),
            "split": hash_value(roles),
        }

    @cached_property
    def image_hash(self) -> str:
        """A hash of the bytes of every image, in order. Unchanged files (path, size, time) are not read again.

        Raises:
            FgbenchError: images are missing; names the first of them.
        """
        return hash_images(self.name, self.root, self.files)

    @property
    def fingerprint(self) -> str:
        """One hash of all that was read: annotations and image bytes."""
        return hash_value([self.annotation_hashes, self.image_hash])

    def unmatched(self, split: ReidSplit) -> np.ndarray:
        """Queries (rows) whose person no other camera shows in the gallery: they can be neither right nor wrong."""
        seen: dict[int, set[int]] = {}
        for row in split.gallery.tolist():
            seen.setdefault(int(self.identities[row]), set()).add(int(self.cameras[row]))
        alone = [not seen.get(int(self.identities[row]), set()) - {int(self.cameras[row])} for row in split.query]
        rows: np.ndarray = split.query[np.array(alone, dtype=bool)]
        return rows


def list_images(folder: Path, scheme: re.Pattern[str], example: str) -> list[tuple[str, re.Match[str]]]:
    """(name, parts of the name) of each image in a folder, in the order of their names; other files are passed over.

    Args:
        folder: where they lie.
        scheme: what every image's name must match.
        example: a name that does, for the error.

    Raises:
        FgbenchError: the folder is missing or holds no image, or an image's name does not fit.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    except OSError as error:
        raise read_error(folder, error) from error
    if not names:
        raise FgbenchError(f"{folder} holds no image", "the data set is not whole: get it again")
    found = []
    for name in names:
        match = scheme.fullmatch(name)
        if match is None:
            raise FgbenchError(f"{folder / name}: the name is not like {example}")
        found.append((name, match))
    return found


def check_disjoint(place: Path, identities: np.ndarray, split: ReidSplit, files: Sequence[str]) -> None:
    """Raise FgbenchError, naming `place` and an image, unless the persons of training and test are different ones."""
    test = np.unique(identities[np.concatenate([split.query, split.gallery])])
    both = split.train[np.isin(identities[split.train], test)]
    if len(both):
        raise FgbenchError(
            f"{place}: person {identities[both[0]]} of the training image {files[both[0]]} is in the test split "
            f"{split.name}, too"
        )

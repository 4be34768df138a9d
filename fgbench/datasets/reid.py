"""Index of a re-identification data set: files, identities, cameras and splits, without the pixels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np

from fgbench.datasets.annotation_files import INCOMPLETE_HINT, read_error
from fgbench.datasets.image_hash import hash_images
from fgbench.datasets.index import Index
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.folders import is_of_system
from fgbench.util.hashing import hash_value

JUNK = -1
"""Identity of images that an evaluation ignores."""
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
"""Suffixes of image files in lower case."""


@dataclass(frozen=True)
class ReidSplit:
    """A split of a data set. Each role is an int64 array of rows of the `ReidIndex`."""

    name: str
    """Name, such as `1a`; unique in the data set."""
    number: int
    """Splits with the same number have the same training images, and share one training."""
    train: np.ndarray
    """Training images. Their identities are in neither query nor gallery."""
    query: np.ndarray
    """Query images."""
    gallery: np.ndarray
    """Gallery images, without junk. If the data set does not separate queries and gallery, the gallery contains the
    queries. Metrics exclude all images of the query's identity by the query's camera, which includes the query."""


@dataclass(frozen=True)
class ReidIndex:
    """N images of persons: files, identities, cameras and official splits."""

    name: str
    """Name of the data set, such as `market1501`."""
    root: Path
    """Folder of the data set."""
    files: tuple[str, ...]
    """Paths of the N images relative to `root`, with forward slashes."""
    identities: np.ndarray
    """(N,) int64, official numbers of the persons; `JUNK` for ignored images."""
    cameras: np.ndarray
    """(N,) int64, official numbers of the cameras, from 1."""
    splits: tuple[ReidSplit, ...]
    """At least one split. `split()` returns the first."""
    stored: Mapping[str, str] = field(default_factory=dict)
    """Official path of a file -> its path on disk, both relative to `root`, for files that lie elsewhere."""

    def __len__(self) -> int:
        return len(self.files)

    def path(self, file: str) -> Path:
        """Return the path on disk of one of the `files`."""
        return self.root / self.stored.get(file, file)

    def split(self, name: str = "") -> ReidSplit:
        """Return the split called `name`, or the first split if `name` is empty.

        Raises:
            FgbenchError: there is no such split. The message suggests the most similar name.
        """
        by_name = {split.name: split for split in self.splits}
        if name and name not in by_name:
            raise FgbenchError(f"{self.name} has no split named {name!r}; {nearest(name, by_name)}")
        return by_name[name] if name else self.splits[0]

    def images(self, rows: np.ndarray) -> Index:
        """Return the images at `rows` without identities and cameras, as a method sees them in test.

        Their `ids` are the rows.
        """
        return self._index(rows, np.zeros(len(rows), dtype=np.int64), (), train=False)

    def training(self, split: ReidSplit) -> Index:
        """Return the training images of a split as a classification data set with one class for each identity."""
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
            stored=self.stored,
        )

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of images, cameras, splits and junk images, and of images and identities of the first split."""
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
        """Kind of annotation -> hash of the parsed annotation."""
        roles = [[s.name, s.number, s.train.tolist(), s.query.tolist(), s.gallery.tolist()] for s in self.splits]
        return {
            "images": hash_value(self.files),
            "identities": hash_value(self.identities.tolist()),
            "cameras": hash_value(self.cameras.tolist()),
            "split": hash_value(roles),
        }

    @cached_property
    def image_hash(self) -> str:
        """Hash of the bytes of all images, in order. Files with unchanged path, size and time are not read again.

        Raises:
            FgbenchError: an image is missing.
        """
        return hash_images(self.name, self.root, self.files, self.stored)

    @property
    def fingerprint(self) -> str:
        """One hash of all annotations and image bytes."""
        return hash_value([self.annotation_hashes, self.image_hash])

    def unmatched(self, split: ReidSplit) -> np.ndarray:
        """Return the rows of queries without an image of the same person by another camera in the gallery."""
        cameras_of: dict[int, set[int]] = {}
        for row in split.gallery.tolist():
            cameras_of.setdefault(int(self.identities[row]), set()).add(int(self.cameras[row]))
        unmatched = [
            not cameras_of.get(int(self.identities[row]), set()) - {int(self.cameras[row])} for row in split.query
        ]
        rows: np.ndarray = split.query[np.array(unmatched, dtype=bool)]
        return rows


def is_image_name(name: str) -> bool:
    """Return True if a name ends like that of an image and is not that of a file of macOS, such as `._0001.jpg`."""
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES and not is_of_system(name)


def has_image(folder: Path, pattern: re.Pattern[str]) -> bool:
    """Return True if a folder contains an image whose name matches a pattern."""
    return folder.is_dir() and any(pattern.fullmatch(path.name) for path in folder.iterdir())


def list_images(folder: Path, pattern: re.Pattern[str], example: str) -> list[tuple[str, re.Match[str]]]:
    """Return the name of each image in a folder and its match with a pattern, sorted by name.

    Args:
        folder: folder of the images. Other files in it are ignored.
        pattern: pattern that every image name must match.
        example: a name that matches, for the error message.

    Raises:
        FgbenchError: the folder is missing or contains no image, or a name does not match.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if is_image_name(path.name))
    except OSError as error:
        raise read_error(folder, error) from error
    if not names:
        raise FgbenchError(f"{folder} contains no image", INCOMPLETE_HINT)
    matches = []
    for name in names:
        match = pattern.fullmatch(name)
        if match is None:
            raise FgbenchError(
                f"{folder / name}: the file name does not have the form of {example}",
                "give it its official name, or move it to another folder if it is not a file of the data set",
            )
        matches.append((name, match))
    return matches


def check_disjoint(path: Path, identities: np.ndarray, split: ReidSplit, files: Sequence[str]) -> None:
    """Check that no person is in both training and test.

    Args:
        path: annotation file or folder, for the error message.
        identities: (N,) identity of each image.
        split: the split to check.
        files: N file names, for the error message.

    Raises:
        FgbenchError: a person is in both.
    """
    test = np.unique(identities[np.concatenate([split.query, split.gallery])])
    both = split.train[np.isin(identities[split.train], test)]
    if len(both):
        raise FgbenchError(
            f"{path}: person {identities[both[0]]} of the training image {files[both[0]]} is also in the test "
            f"part of split {split.name}"
        )

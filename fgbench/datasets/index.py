"""Index of a classification data set: files, labels, split and annotations, without the pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from fgbench.datasets.image_hash import count_not_jpeg, hash_images
from fgbench.util.errors import ArgumentError
from fgbench.util.hashing import hash_value


@dataclass(frozen=True)
class Index:
    """N images of a classification data set: files, labels, official split and annotations."""

    name: str
    """Name of the data set, such as `cub`."""
    root: Path
    """Folder of the data set."""
    ids: np.ndarray
    """(N,) int64, official ids of the images."""
    files: tuple[str, ...]
    """Paths of the N images relative to `root`, with forward slashes."""
    labels: np.ndarray
    """(N,) int64 positions in `classes`."""
    train: np.ndarray
    """(N,) bool, True for images of the official training split."""
    classes: tuple[str, ...]
    """Names of the classes."""
    boxes: np.ndarray | None = None
    """(N, 4) float64 box of the object: x, y, width, height in pixels of the original image. None without boxes."""
    parts: np.ndarray | None = None
    """(N, P, 3) float64 keypoints: x, y in pixels of the original image, and 1 if visible, else 0. None without
    keypoints."""
    part_names: tuple[str, ...] = ()
    """Names of the P keypoints."""
    stored: Mapping[str, str] = field(default_factory=dict)
    """Official path of a file -> its path on disk, both relative to `root`, for files that lie elsewhere."""

    def __len__(self) -> int:
        return len(self.files)

    def path(self, file: str) -> Path:
        """Return the path on disk of one of the `files`."""
        return self.root / self.stored.get(file, file)

    def select(self, rows: np.ndarray) -> "Index":
        """Return the images at `rows` ((M,) positions or (N,) bool mask), with the same classes."""
        positions = np.arange(len(self))[rows]
        arrays = {
            column.name: value[positions]
            for column in fields(self)
            if isinstance(value := getattr(self, column.name), np.ndarray)
        }
        return replace(self, files=tuple(self.files[i] for i in positions), **arrays)

    def first_classes(self, count: int) -> "Index":
        """Return the images of the first `count` classes.

        Raises:
            ArgumentError: `count` is not between 2 and the number of classes.
        """
        if not 2 <= count <= len(self.classes):
            raise ArgumentError(
                f"{self.name} has {len(self.classes)} classes; the first {count} cannot be selected",
                f"choose a number from 2 to {len(self.classes)}",
            )
        return replace(self.select(self.labels < count), classes=self.classes[:count])

    def limited(self, count: int) -> "Index":
        """Return at most `count` training and `count` test images: the first of each class, then the second, and so on.

        Raises:
            ArgumentError: `count` is less than the number of classes, so that a class would have no training image.
        """
        if count < len(self.classes):
            raise ArgumentError(
                f"{count} images are fewer than the {len(self.classes)} classes of {self.name}",
                f"choose at least {len(self.classes)}, or fewer classes with --classes",
            )
        kept = np.zeros(len(self), dtype=bool)
        for part in (self.train, ~self.train):
            rows = np.flatnonzero(part)
            place = np.empty(len(rows), dtype=np.int64)
            for label in range(len(self.classes)):
                own = self.labels[rows] == label
                place[own] = np.arange(own.sum())
            kept[rows[np.lexsort((self.labels[rows], place))[:count]]] = True
        return self.select(kept)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of training images, test images and classes."""
        train = int(self.train.sum())
        return {"train": train, "test": len(self) - train, "classes": len(self.classes)}

    @cached_property
    def annotation_hashes(self) -> dict[str, str]:
        """Kind of annotation -> hash of the parsed annotation. Line endings and number formats do not matter."""
        tables: dict[str, object] = {
            "images": [self.ids.tolist(), self.files],
            "classes": self.classes,
            "labels": self.labels.tolist(),
            "split": self.train.tolist(),
        }
        if self.boxes is not None:
            tables["boxes"] = self.boxes.tolist()
        if self.parts is not None:
            tables["parts"] = [self.part_names, self.parts.tolist()]
        return {name: hash_value(table) for name, table in tables.items()}

    @cached_property
    def image_hash(self) -> str:
        """Hash of the bytes of all images, in order. Unchanged files are not read again.

        Raises:
            FgbenchError: an image is missing.
        """
        return hash_images(self.name, self.root, self.files, self.stored)

    def count_not_jpeg(self) -> int:
        """Return the number of images that are not JPEG files."""
        return count_not_jpeg([self.path(file) for file in self.files])

    @property
    def fingerprint(self) -> str:
        """One hash of all annotations and image bytes."""
        return hash_value([self.annotation_hashes, self.image_hash])

"""What the files of a data set say, without the pixels, and its fingerprint."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from fgbench.datasets.image_hash import count_not_jpeg, hash_images
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value


@dataclass(frozen=True)
class Index:
    """N images of a classification data set: files, labels, official split and annotations."""

    name: str
    """The data set, such as `cub`."""
    root: Path
    """Folder that the files are relative to."""
    ids: np.ndarray
    """(N,) int64, the data set's own image ids."""
    files: tuple[str, ...]
    """N paths of images relative to `root`, with forward slashes."""
    labels: np.ndarray
    """(N,) int64 from 0, an index into `classes`."""
    train: np.ndarray
    """(N,) bool, True for the official training split."""
    classes: tuple[str, ...]
    """Names of the classes."""
    boxes: np.ndarray | None = None
    """(N, 4) float64: x, y, width, height in pixels of the original image."""
    parts: np.ndarray | None = None
    """(N, P, 3) float64: x, y in pixels of the original image, and 1 where the keypoint is visible, else 0."""
    part_names: tuple[str, ...] = ()
    """Names of the P keypoints."""

    def __len__(self) -> int:
        return len(self.files)

    def select(self, rows: np.ndarray) -> "Index":
        """The images at `rows` (integer positions or a mask), with the same classes."""
        positions = np.arange(len(self))[rows]
        arrays = {
            field.name: value[positions]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        return replace(self, files=tuple(self.files[i] for i in positions), **arrays)

    def first_classes(self, count: int) -> "Index":
        """Only the images of the first `count` classes.

        Raises:
            FgbenchError: `count` is not between 2 and the number of classes.
        """
        if not 2 <= count <= len(self.classes):
            raise FgbenchError(f"{self.name} has {len(self.classes)} classes; asked for the first {count}")
        return replace(self.select(self.labels < count), classes=self.classes[:count])

    @property
    def counts(self) -> dict[str, int]:
        """How many training images, test images and classes there are."""
        train = int(self.train.sum())
        return {"train": train, "test": len(self) - train, "classes": len(self.classes)}

    @cached_property
    def annotation_hashes(self) -> dict[str, str]:
        """A hash of each kind of annotation as parsed, so that line endings and number formats do not matter."""
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
        """A hash of the bytes of every image, in order. Unchanged files (path, size, time) are not read again.

        Raises:
            FgbenchError: images are missing; names the first of them.
        """
        return hash_images(self.name, self.root, self.files)

    def not_jpeg(self) -> int:
        """How many of the images do not begin as a JPEG file does."""
        return count_not_jpeg(self.root, self.files)

    @property
    def fingerprint(self) -> str:
        """One hash of all that was read: annotations and image bytes."""
        return hash_value([self.annotation_hashes, self.image_hash])

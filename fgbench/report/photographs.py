"""Small photographs of a data set for the pages, if the data set is on this machine.

A photograph is never needed: if it cannot be read for any reason, the page is written without it.
"""

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import ImageOps

from fgbench.datasets import Dataset, find
from fgbench.datasets.image_reading import decoded_image, image_size
from fgbench.datasets.index import Index
from fgbench.records.record import Record
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder
from fgbench.util.hashing import hash_value
from fgbench.util.plain_text import one_line

SIDE_PX = 144
"""Width and height of a photograph."""
MARGIN = 1.25
"""Side of the cut square over the longer side of the box of the object."""
QUALITY = 60
"""Quality of the WebP files: about 4 kB each."""
TRIED = 3
"""Images of a class that are tried until one can be read."""


@dataclass(slots=True)
class Photographs:
    """Photographs of the data sets on this machine. Annotations of a data set are read once."""

    indices: dict[tuple[str, str], Index | str] = field(default_factory=dict)
    """Name of a data set, and for images of the user the hash of its annotations -> its index, or a sentence that says
    why there is none."""

    def missing(self, record: Record) -> str:
        """Return a sentence that says why the data set of a record cannot be shown; empty if it can."""
        index = self._index(record)
        return index if isinstance(index, str) else ""

    def of_image(self, record: Record, image_id: int, class_name: str) -> bytes | None:
        """Return a photograph of a record as WebP; None if it cannot be read, or is not of this class here.

        Args:
            record: the run.
            image_id: official id of the image.
            class_name: name of its class in the record.
        """
        index = self._index(record)
        if isinstance(index, str):
            return None
        rows = np.flatnonzero(index.ids == image_id)
        # The data set on this machine may be another one than that of the record.
        if len(rows) != 1 or index.classes[index.labels[rows[0]]] != class_name:
            return None
        return _thumbnail(index, int(rows[0]))

    def of_class(self, record: Record, class_name: str) -> bytes | None:
        """Return a photograph of a class as WebP, of a training image if there is one; None if none can be read."""
        index = self._index(record)
        if isinstance(index, str) or class_name not in index.classes:
            return None
        of_class = index.labels == index.classes.index(class_name)
        rows = [*np.flatnonzero(of_class & index.train), *np.flatnonzero(of_class & ~index.train)]
        return next((image for row in rows[:TRIED] if (image := _thumbnail(index, int(row)))), None)

    def _index(self, record: Record) -> Index | str:
        key = record.data, str(record.protocol["annotations"]) if record.own_images else ""
        if key not in self.indices:
            self.indices[key] = _read_index(record)
        return self.indices[key]


def _read_index(record: Record) -> Index | str:
    """Return the index of the data set of a record, or a sentence that says why there is none."""
    missing = f"No pictures: {record.data_title} is not on this machine."
    try:
        dataset = find(record.data)
        if not isinstance(dataset, Dataset):
            return f"No pictures: {record.data_title} has no classes."
        # A report does not generate a data set.
        if dataset.make is not None and not _is_generated(dataset):
            return missing
        index = dataset.index()
        # Images of the user have no official ids: an image that was added or removed would move all others.
        if record.own_images and hash_value(index.annotation_hashes) != record.protocol["annotations"]:
            return f"No pictures: the folder {record.data_title} has other images than those of the run."
        return index
    except FgbenchError:
        return missing
    except Exception as error:  # noqa: BLE001  # a data set of another package may raise any error: the page names it
        reason = one_line(f"{type(error).__name__}: {error}")
        return f"No pictures: {record.data_title} cannot be read ({reason})."


def _is_generated(dataset: Dataset) -> bool:
    folder = cache_folder() / "data" / dataset.folder
    return folder.is_dir() and not dataset.missing_in(folder)


def _thumbnail(index: Index, row: int) -> bytes | None:
    """Return a square around the object of an image, or the middle of the image without a box; None if unreadable."""
    try:
        file = index.path(index.files[row])
        width, _ = image_size(file)
        with decoded_image(file, 4 * SIDE_PX) as image:
            rgb = image.rgb
        square: Any = rgb
        if index.boxes is not None:
            square = rgb.crop(_square(index.boxes[row] * (rgb.size[0] / width), rgb.size))
        small = ImageOps.fit(square, (SIDE_PX, SIDE_PX))
        content = io.BytesIO()
        small.save(content, "WEBP", quality=QUALITY)
        return content.getvalue()
    except (FgbenchError, ArithmeticError, OSError, ValueError):  # the box may be outside an exchanged image
        return None


def _square(box: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a square around a box (x, y, width, height), moved into the image."""
    side = min(MARGIN * max(box[2], box[3]), *size)
    left, top = (
        min(max(start + length / 2 - side / 2, 0), end - side)
        for start, length, end in zip(box[:2], box[2:], size, strict=True)
    )
    return round(left), round(top), round(left + side), round(top + side)

"""Matches the images of a file with the images that it has to answer: each exactly once."""

from dataclasses import dataclass

import numpy as np

from fgbench.judge.outside.answers import Answers
from fgbench.judge.outside.faults import Faults, whole_number

UNKNOWN, AMBIGUOUS, IGNORED = -1, -2, -3
"""Rows of names that are no image, that are several, and of images that an evaluation ignores."""


@dataclass(frozen=True)
class AskedImages:
    """The images that a file has to answer."""

    data: str
    """Name of the data set."""
    what: str
    """What these images are, such as `test images`."""
    files: tuple[str, ...]
    """Paths of all images of the data set, relative to its folder."""
    rows: np.ndarray
    """(N,) rows of the images to answer, in the order of the arrays."""
    ids: np.ndarray | None = None
    """Official ids of all images; None if the data set has none."""
    ignored: np.ndarray | None = None
    """Rows of images that may be in the file and are not used."""

    def order(self, answers: Answers, faults: Faults, key: str = "image") -> np.ndarray:
        """Return the position in the file of each image to answer; faults are added.

        Args:
            answers: the answers, with the array `key`, or `id` in place of `image`.
            faults: gets the images that are unknown, double or missing.
            key: name of the array with the images.
        """
        places = self.places(answers, faults, key)
        return faults.order(places, len(self.rows), lambda place: self.files[self.rows[place]])

    def places(self, answers: Answers, faults: Faults, key: str = "image") -> np.ndarray:
        """Return for each entry of the file its place in `rows`, negative if it is no image to answer; add faults."""
        if answers.in_order:
            count = len(next(iter(answers.arrays.values())))
            if count != len(self.rows):
                raise answers.error(
                    f"it has {count:,} rows, {self.data} has {len(self.rows):,} {self.what}",
                    "give all in their official order, or a table with the column image",
                )
            return np.arange(count)
        names, rows = self._named_rows(answers, key)
        faults.add(f"not in {self.data}", _at(names, rows == UNKNOWN), "image")
        faults.add(f"of several images of {self.data}", _at(names, rows == AMBIGUOUS), "name")
        place_of = np.full(len(self.files), UNKNOWN, dtype=np.int64)
        if self.ignored is not None:
            place_of[self.ignored] = IGNORED
        place_of[self.rows] = np.arange(len(self.rows))
        places = np.where(rows >= 0, place_of[np.maximum(rows, 0)], rows)
        faults.add(f"not among the {self.what}", _at(names, (rows >= 0) & (places == UNKNOWN)), "image")
        return places

    def _named_rows(self, answers: Answers, key: str) -> tuple[list[str], np.ndarray]:
        """Return the names in the file and the row of the data set of each."""
        if key == "image" and "image" not in answers.arrays:
            if "id" not in answers.arrays:
                raise answers.error("it has no image and no id")
            if self.ids is None:
                raise answers.error(f"the images of {self.data} have no ids", "give the column image with file names")
            return self._rows_of_ids(answers, self.ids)
        given = answers.arrays[key]
        if given.dtype.kind != "U" or given.ndim != 1:
            raise answers.error(f"{key} holds no file names", "ids are in the column id")
        names = given.tolist()
        by_name = _rows_by_name(self.files)
        row_of = {name: _row(name, by_name, self.files) for name in dict.fromkeys(names)}
        return names, np.array([row_of[name] for name in names], dtype=np.int64)

    def _rows_of_ids(self, answers: Answers, ids: np.ndarray) -> tuple[list[str], np.ndarray]:
        given = answers.arrays["id"]
        names = [str(name) for name in given.tolist()]
        if given.dtype.kind not in "iuU" or given.ndim != 1:
            raise answers.error("id holds no whole numbers", "file names are in the column image")
        by_id: dict[int | None, int] = {number: row for row, number in enumerate(ids.tolist())}
        return names, np.array([by_id.get(whole_number(name), UNKNOWN) for name in names], dtype=np.int64)


def _at(names: list[str], mask: np.ndarray) -> list[str]:
    return [names[position] for position in np.flatnonzero(mask)]


def _rows_by_name(files: tuple[str, ...]) -> dict[str, int]:
    """Return the row of each path, and of each end of it that begins after a slash; `AMBIGUOUS` for several rows."""
    by_name: dict[str, int] = {}
    for row, file in enumerate(files):
        parts = file.split("/")
        for start in range(len(parts)):
            name = "/".join(parts[start:])
            by_name[name] = row if by_name.get(name, row) == row else AMBIGUOUS
    return by_name | {file: row for row, file in enumerate(files)}


def _row(name: str, by_name: dict[str, int], files: tuple[str, ...]) -> int:
    """Return the row of a name: a path, an end of one, or a longer path that ends with one."""
    parts = name.replace("\\", "/").split("/")
    plain = "/".join(part for part in parts if part != ".")
    if plain in by_name:
        return by_name[plain]
    ends = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return next((row for end in ends if (row := by_name.get(end, UNKNOWN)) >= 0 and files[row] == end), UNKNOWN)

"""Caltech-UCSD Birds-200-2011 in the official layout (Wah et al., CNS-TR-2011-001)."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from fgbench.datasets.annotation_files import finite_number, read_lines, read_rows, read_table
from fgbench.datasets.index import Index
from fgbench.util.errors import FgbenchError

FOLDER = "CUB_200_2011"
URL = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"
MD5 = "97eceeb196236b17998738112f37df78"
PAGE = "https://data.caltech.edu/records/65de6-vp158"

COUNTS = {"train": 5994, "test": 5794, "classes": 200}
"""Counts of the official data; 11,788 images in total."""

OFFICIAL = {
    "images": "2705acd468a267ff",
    "classes": "caf25ffd97632fcd",
    "labels": "d6ad020b2af901c0",
    "split": "51d6365b71ba2e83",
    "boxes": "996c652cec55271c",
    "parts": "df6cbbb5614c8222",
}
"""Hashes of the official annotations as parsed (see `Index.annotation_hashes`)."""

TABLES = {
    "train": "train_test_split.txt",
    "test": "train_test_split.txt",
    "images": "images.txt",
    "classes": "classes.txt",
    "labels": "image_class_labels.txt",
    "split": "train_test_split.txt",
    "boxes": "bounding_boxes.txt",
    "parts": "parts/part_locs.txt",
}
"""Kind of annotation or count -> file that it is read from."""

T = TypeVar("T")


def load(root: Path, name: str = "cub") -> Index:
    """Read the annotation files; no image is opened.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    images = read_table(root / TABLES["images"], 2, lambda row: row[1])
    ids = np.array(list(images), dtype=np.int64)
    classes = read_table(root / TABLES["classes"], 2, lambda row: row[1])
    labels = _for_images(root / TABLES["labels"], images, 2, lambda row: int(row[1]))
    if unmatched := sorted(set(labels) ^ set(classes)):
        raise FgbenchError(f"{root / TABLES['labels']}: classes {unmatched[:5]} do not agree with {TABLES['classes']}")
    position = {number: index for index, number in enumerate(classes)}
    part_names = read_table(root / "parts/parts.txt", 2, lambda row: " ".join(row[1:]), at_least=True)
    return Index(
        name=name,
        root=root,
        ids=ids,
        files=tuple(f"images/{file}" for file in images.values()),
        labels=np.array([position[label] for label in labels], dtype=np.int64),
        train=np.array(_for_images(root / TABLES["split"], images, 2, _split_flag), dtype=bool),
        classes=tuple(classes.values()),
        boxes=np.array(_for_images(root / TABLES["boxes"], images, 5, lambda row: [finite_number(v) for v in row[1:]])),
        parts=_parts(root / TABLES["parts"], ids, list(part_names)),
        part_names=tuple(part_names.values()),
    )


def attributes(root: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Read the attributes of the classes.

    Args:
        root: folder of the data set.

    Returns:
        Names of the A attributes, and the percentage of images of each class with each attribute, (classes, A) float64.

    Raises:
        FgbenchError: a file is missing or malformed.
    """
    names = read_table(root / "attributes.txt", 2, lambda row: row[1])
    path = root / "attributes/class_attribute_labels_continuous.txt"
    try:
        rows = [[finite_number(value) for value in line.split()] for line in read_lines(path)]
    except ValueError as error:
        raise FgbenchError(f"{path}: {error}") from error
    if {len(row) for row in rows} != {len(names)}:
        raise FgbenchError(f"{path}: every row must have {len(names)} values, as in attributes.txt")
    return tuple(names.values()), np.array(rows)


def _split_flag(row: list[str]) -> bool:
    if row[1] not in {"0", "1"}:
        raise ValueError(f"{row[1]!r} is neither 1 (training) nor 0 (test)")
    return row[1] == "1"


def _for_images(path: Path, images: dict[int, str], columns: int, parse: Callable[[list[str]], T]) -> list[T]:
    """Read a file with one line for each image; return the values in the order of `images`."""
    table = read_table(path, columns, parse)
    if unmatched := sorted(set(table) ^ set(images)):
        problem = "no line for" if unmatched[0] in images else "a line for the unknown"
        raise FgbenchError(f"{path}: {problem} image {unmatched[0]} ({len(unmatched)} ids differ from images.txt)")
    return [table[number] for number in images]


def _parts(path: Path, ids: np.ndarray, part_ids: list[int]) -> np.ndarray:
    """Return keypoints (N, P, 3) from lines `image part x y visible`."""
    rows = read_rows(path, 5)
    try:
        values = np.array([[finite_number(value) for value in row] for _, row in rows])
    except ValueError as error:
        raise FgbenchError(f"{path}: {error}") from error
    pairs = [(image, part) for image in ids.tolist() for part in part_ids]
    order = {pair: position for position, pair in enumerate(pairs)}
    positions = np.array([order.get((int(image), int(part)), -1) for image, part in values[:, :2]])
    if (positions < 0).any():
        raise FgbenchError(f"{path}, line {rows[int((positions < 0).argmax())][0]}: unknown image or part")
    if len(rows) != len(pairs) or len(np.unique(positions)) != len(pairs):
        raise FgbenchError(f"{path}: {len(rows)} keypoints instead of {len(pairs)} (images x parts), each once")
    parts = np.empty((len(pairs), 3))
    parts[positions] = values[:, 2:]
    return parts.reshape(len(ids), len(part_ids), 3)

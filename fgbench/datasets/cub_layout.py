"""Reader of the layout of text files that CUB-200-2011 and NABirds share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from fgbench.datasets.annotation_files import Key, finite_number, integer, read_rows, read_table, read_table_by
from fgbench.datasets.index import Index
from fgbench.datasets.misplaced import is_empty
from fgbench.util.errors import FgbenchError

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

PARTS = "parts"
"""Folder of the keypoints."""
VISIBLE = {"0": 0.0, "1": 1.0}
"""Visibility as it is written -> its value. COCO writes 2 for visible, and 1 for an occluded keypoint."""

T = TypeVar("T")


def read_layout(root: Path, name: str, image_id: Callable[[str], Key], *, is_tree: bool = False) -> Index:
    """Read the annotation files; no image is opened.

    Images are in the order of images.txt. Integer ids of images are kept; images with other ids are numbered from 1.
    A data set without bounding_boxes.txt has no boxes. One without a folder parts, or with an empty one, has no
    keypoints. Methods that need neither can use it.

    Args:
        root: folder of the data set.
        name: name of the data set.
        image_id: function from an image id as it is written to its value. It raises ValueError for a malformed id.
        is_tree: True if classes.txt also lists groups of classes, which have no image and are left out, and if names of
            classes may have several words.

    Raises:
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    images = read_table_by(image_id, root / TABLES["images"], 2, lambda row: row[1])
    _check_listed_once(root / TABLES["images"], images)
    classes = read_table(root / TABLES["classes"], 2, _joined, at_least=is_tree)

    def of_images(kind: str, columns: int, parse: Callable[[list[str]], T]) -> list[T]:
        return _for_images(root / TABLES[kind], images, columns, parse, image_id)

    labels = of_images("labels", 2, lambda row: integer(row[1]))
    with_images = set(labels)
    if unmatched := sorted(with_images - set(classes) if is_tree else with_images ^ set(classes)):
        raise FgbenchError(f"{root / TABLES['labels']}: classes {unmatched[:5]} do not agree with {TABLES['classes']}")
    used = sorted(with_images) if is_tree else list(classes)
    label_of = {number: label for label, number in enumerate(used)}
    ids = [number if isinstance(number, int) else position for position, number in enumerate(images, 1)]
    has_boxes = os.path.lexists(root / TABLES["boxes"])
    has_parts = os.path.lexists(root / PARTS) and not is_empty(root / PARTS)
    part_names = read_table(root / PARTS / "parts.txt", 2, _joined, at_least=True) if has_parts else {}
    return Index(
        name=name,
        root=root,
        ids=np.array(ids, dtype=np.int64),
        files=tuple(f"images/{file}" for file in images.values()),
        labels=np.array([label_of[number] for number in labels], dtype=np.int64),
        train=np.array(of_images("split", 2, _split_flag), dtype=bool),
        classes=tuple(classes[number] for number in used),
        boxes=np.array(of_images("boxes", 5, _box)) if has_boxes else None,
        parts=_parts(root / TABLES["parts"], list(images), list(part_names), image_id) if has_parts else None,
        part_names=tuple(part_names.values()),
    )


def _check_listed_once(path: Path, images: dict[Key, str]) -> None:
    """Refuse a file that two ids name: it could be in training and test."""
    first: dict[str, Key] = {}
    for number, file in images.items():
        if file in first:
            raise FgbenchError(f"{path}: {file} is listed twice, as image {first[file]} and image {number}")
        first[file] = number


def first_image_id(root: Path) -> str:
    """Return the first word of images.txt; empty if it cannot be read. CUB-200-2011 and NABirds differ in it."""
    try:
        return read_rows(root / TABLES["images"], 1, at_least=True)[0][1][0]
    except FgbenchError:
        return ""


def _joined(row: list[str]) -> str:
    return " ".join(row[1:])


def _box(row: list[str]) -> list[float]:
    x, y, width, height = (finite_number(value) for value in row[1:])
    if width <= 0 or height <= 0:
        raise ValueError(f"the box has a width of {row[3]} and a height of {row[4]}; both must be positive")
    return [x, y, width, height]


def _split_flag(row: list[str]) -> bool:
    if row[1] not in {"0", "1"}:
        raise ValueError(f"{row[1]!r} is neither 1 (training) nor 0 (test)")
    return row[1] == "1"


def _for_images(
    path: Path,
    images: dict[Key, str],
    columns: int,
    parse: Callable[[list[str]], T],
    image_id: Callable[[str], Key],
) -> list[T]:
    """Read a file with one line for each image; return the values in the order of `images`."""
    table = read_table_by(image_id, path, columns, parse)
    if unmatched := sorted(set(table) ^ set(images)):
        problem = "no line for" if unmatched[0] in images else "a line for the unknown"
        raise FgbenchError(f"{path}: {problem} image {unmatched[0]} ({len(unmatched)} ids differ from images.txt)")
    return [table[number] for number in images]


def _parts(path: Path, images: list[Key], part_ids: list[int], image_id: Callable[[str], Key]) -> np.ndarray:
    """Return keypoints (N, P, 3) from lines `image part x y visible`."""
    row_of = {image: row for row, image in enumerate(images)}
    column_of = {part: column for column, part in enumerate(part_ids)}
    parts = np.full((len(images), len(part_ids), 3), np.nan)
    lines = read_rows(path, 5)
    for number, (image, part, x, y, visible) in lines:
        try:
            row, column = row_of.get(image_id(image)), column_of.get(integer(part))
            if row is None or column is None:
                raise ValueError("unknown image or part")
            if visible not in VISIBLE:
                raise ValueError(f"the visibility is {visible}, not 1 (visible) or 0 (not visible)")
            point = finite_number(x), finite_number(y), VISIBLE[visible]
            if not np.isnan(parts[row, column, 2]):
                raise ValueError(f"part {part} of image {image} occurs twice")
            parts[row, column] = point
        except ValueError as error:
            raise FgbenchError(f"{path}, line {number}: {error}") from error
    missing = np.argwhere(np.isnan(parts[..., 2]))
    if len(missing):
        row, column = missing[0]
        raise FgbenchError(
            f"{path}: no line for part {part_ids[column]} of image {images[row]} ({len(missing)} of "
            f"{len(images) * len(part_ids)} keypoints are missing)"
        )
    return parts

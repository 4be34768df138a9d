"""Stanford Cars (Krause et al., 3dRR 2013): 196 classes, in its official layout."""

from pathlib import Path

import numpy as np

from fgbench.datasets.annotation_files import box_of_corners
from fgbench.datasets.index import Index
from fgbench.datasets.matlab import read_matlab
from fgbench.util.errors import FgbenchError

FOLDER = "stanford_cars"
PAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
NO_URL_REASON = "its official host has been offline for years"
LABELLED = "cars_test_annos_withlabels.mat"
FILES = {
    "devkit/cars_meta.mat": "class names",
    "devkit/cars_train_annos.mat": "classes and boxes of the training images",
    LABELLED: "the same for the test images; the cars_test_annos.mat of the devkit lacks the classes",
    "cars_train/": "00001.jpg to 08144.jpg",
    "cars_test/": "00001.jpg to 08041.jpg",
}
"""What the folder holds, and what is in it."""

COUNTS = {"train": 8144, "test": 8041, "classes": 196}
"""What the official files hold; 16,185 images."""

OFFICIAL = {
    "images": "310cbd5474630ff8",
    "classes": "806f065c9e4129d6",
    "labels": "9ee848ebb4d531ea",
    "split": "0081084335b536f0",
    "boxes": "f81e5279d6559108",
}
"""Hashes of the official annotations as parsed (see `Index.annotation_hashes`).

They were made from copies, as the official host is gone. That of the test annotations has the MD5 that torchvision
published while the host was there, b0a2b23655a3edd16d84508592a98d10. No checksum of the other two files by themselves
was published; theirs here are 7b154abe023e6274e597db035347ff56 (training, the same in two unrelated copies) and
4591ba8ddb31503892280ed8c6ed1c16 (class names).
"""

_BOTH = f"devkit/cars_train_annos.mat and {LABELLED}"
TABLES = {
    "train": "devkit/cars_train_annos.mat",
    "test": LABELLED,
    "classes": "devkit/cars_meta.mat",
    "images": _BOTH,
    "labels": _BOTH,
    "split": _BOTH,
    "boxes": _BOTH,
}
"""The file each annotation is read from."""

CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def load(root: Path, name: str = "cars") -> Index:
    """Read the annotation files under `root`; opens no image.

    Images are the training images, then the test images, each in the order of its file; as both are numbered from 1,
    the ids go on counting. Boxes are in pixels counted from 1 in the files, and 0, 0, width, height here when they
    cover the whole image.

    Raises:
        FgbenchError: a file is missing, malformed or does not fit the others; names the file and the image.
    """
    names = read_matlab(root / TABLES["classes"], "class_names")
    classes = tuple(str(item) for item in names.tolist())
    if len(set(classes)) != len(classes):
        raise FgbenchError(f"{root / TABLES['classes']}: a class name stands twice")
    _check_labelled(root)
    rows = [_annotations(root / TABLES[split], f"cars_{split}", len(classes)) for split in ("train", "test")]
    files, labels, boxes = zip(*rows[0], *rows[1], strict=True)
    if unused := set(range(len(classes))) - set(labels):
        raise FgbenchError(f"{root / TABLES['classes']}: the class {classes[min(unused)]!r} has no image")
    return Index(
        name=name,
        root=root,
        ids=np.arange(1, len(files) + 1, dtype=np.int64),
        files=files,
        labels=np.array(labels, dtype=np.int64),
        train=np.arange(len(files)) < len(rows[0]),
        classes=classes,
        boxes=np.array(boxes),
    )


def _check_labelled(root: Path) -> None:
    """Raise FgbenchError that says which file is needed when there are only test annotations without classes."""
    if (root / LABELLED).exists():
        return
    for other in ("devkit/cars_test_annos.mat", "cars_test_annos.mat"):
        if (root / other).exists():
            raise FgbenchError(
                f"{root / LABELLED} is missing; {other} does not do, it lacks the classes",
                f"get {LABELLED}, see {PAGE}",
            )


def _annotations(path: Path, folder: str, classes: int) -> list[tuple[str, int, list[float]]]:
    """File, label and box of each image of one annotation file."""
    table = read_matlab(path, "annotations")
    wanted = (*CORNERS, "class", "fname")
    if lacking := [field for field in wanted if field not in (table.dtype.names or ())]:
        hint = f"the annotations of the test images with their classes are {LABELLED}" if lacking == ["class"] else ""
        raise FgbenchError(f"{path}: the annotations have no {', '.join(lacking)}", hint)
    found: dict[str, tuple[str, int, list[float]]] = {}
    for number, row in enumerate(table, 1):
        try:
            file = _file_name(row["fname"])
            label = int(row["class"])
            if not 1 <= label <= classes:
                raise ValueError(f"class {label} is not one of the {classes} in {TABLES['classes']}")
            box = box_of_corners(*(float(row[corner]) for corner in CORNERS))
        except (TypeError, ValueError) as error:
            raise FgbenchError(f"{path}, annotation {number} (of {row['fname']}): {error}") from error
        if file in found:
            raise FgbenchError(f"{path}, annotation {number}: {file} stands twice")
        found[file] = (f"{folder}/{file}", label - 1, box)
    return list(found.values())


def _file_name(value: object) -> str:
    if not isinstance(value, str) or Path(value).name != value:
        raise ValueError(f"{value!r} is not the name of a file")
    return value

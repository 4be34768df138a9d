"""Stanford Cars (Krause et al., 3dRR 2013): 196 classes, in the official layout."""

from pathlib import Path

import numpy as np

from fgbench.datasets.annotation_files import box_of_corners
from fgbench.datasets.index import Index
from fgbench.datasets.matlab import read_matlab
from fgbench.util.errors import FgbenchError

FOLDER = "stanford_cars"
PAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
NO_URL_REASON = "the official server has been offline for years"
LABELLED_TEST = "cars_test_annos_withlabels.mat"
FILES = {
    "devkit/cars_meta.mat": "class names",
    "devkit/cars_train_annos.mat": "classes and boxes of the training images",
    LABELLED_TEST: "the same for the test images (cars_test_annos.mat of the devkit has no classes)",
    "cars_train/": "00001.jpg to 08144.jpg",
    "cars_test/": "00001.jpg to 08041.jpg",
}
"""File or folder of the data set -> its content."""

COUNTS = {"train": 8144, "test": 8041, "classes": 196}
"""Counts of the official data; 16,185 images in total."""

OFFICIAL = {
    "images": "310cbd5474630ff8",
    "classes": "806f065c9e4129d6",
    "labels": "9ee848ebb4d531ea",
    "split": "0081084335b536f0",
    "boxes": "f81e5279d6559108",
}
"""Hashes of the official annotations as parsed (see `Index.annotation_hashes`).

The hashes are from copies, because the official server is offline (see `PUBLISHED_MD5`).
"""

PUBLISHED_MD5 = (
    "b0a2b23655a3edd16d84508592a98d10",
    "7b154abe023e6274e597db035347ff56",
    "4591ba8ddb31503892280ed8c6ed1c16",
)
"""MD5 of the annotation files.

The first is that of the test annotations, which torchvision published while the server was online. No checksums of the
other two files were published: these are of copies of the training annotations, equal in two unrelated copies, and of
the class names.
"""

_BOTH_SPLITS = f"devkit/cars_train_annos.mat and {LABELLED_TEST}"
TABLES = {
    "train": "devkit/cars_train_annos.mat",
    "test": LABELLED_TEST,
    "classes": "devkit/cars_meta.mat",
    "images": _BOTH_SPLITS,
    "labels": _BOTH_SPLITS,
    "split": _BOTH_SPLITS,
    "boxes": _BOTH_SPLITS,
}
"""Kind of annotation or count -> file that it is read from."""

CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
"""Fields of the box: first and last pixel, counted from 1."""


def load(root: Path, name: str = "cars") -> Index:
    """Read the annotation files; no image is opened.

    The training images come first, then the test images, each in the order of their file. Ids count from 1 over both.
    The box of a whole image is 0, 0, width, height.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    names = read_matlab(root / TABLES["classes"], "class_names", PUBLISHED_MD5)
    classes = tuple(str(item) for item in names.tolist())
    if len(set(classes)) != len(classes):
        raise FgbenchError(f"{root / TABLES['classes']}: a class name occurs twice")
    _check_test_labels(root)
    splits = [_annotations(root / TABLES[split], f"cars_{split}", len(classes)) for split in ("train", "test")]
    files, labels, boxes = zip(*splits[0], *splits[1], strict=True)
    if unused := set(range(len(classes))) - set(labels):
        raise FgbenchError(f"{root / TABLES['classes']}: class {classes[min(unused)]!r} has no image")
    return Index(
        name=name,
        root=root,
        ids=np.arange(1, len(files) + 1, dtype=np.int64),
        files=files,
        labels=np.array(labels, dtype=np.int64),
        train=np.arange(len(files)) < len(splits[0]),
        classes=classes,
        boxes=np.array(boxes),
    )


def _check_test_labels(root: Path) -> None:
    """Raise FgbenchError if only test annotations without classes are present."""
    if (root / LABELLED_TEST).exists():
        return
    for other in ("devkit/cars_test_annos.mat", "cars_test_annos.mat"):
        if (root / other).exists():
            raise FgbenchError(
                f"{root / LABELLED_TEST} is missing; {other} cannot replace it, because it has no classes",
                f"get {LABELLED_TEST} (see {PAGE})",
            )


def _annotations(path: Path, folder: str, classes: int) -> list[tuple[str, int, list[float]]]:
    """Return file, label and box of each image of one annotation file."""
    table = read_matlab(path, "annotations", PUBLISHED_MD5)
    required = (*CORNERS, "class", "fname")
    if missing := [field for field in required if field not in (table.dtype.names or ())]:
        hint = f"the test annotations with classes are in {LABELLED_TEST}" if missing == ["class"] else ""
        raise FgbenchError(f"{path}: the annotations have no field {', '.join(missing)}", hint)
    images: dict[str, tuple[str, int, list[float]]] = {}
    for number, row in enumerate(table, 1):
        try:
            file = _file_name(row["fname"])
            label = int(row["class"])
            if not 1 <= label <= classes:
                raise ValueError(f"class {label} is not one of the {classes} classes in {TABLES['classes']}")
            box = box_of_corners(*(float(row[corner]) for corner in CORNERS))
        except (TypeError, ValueError) as error:
            raise FgbenchError(f"{path}, annotation {number} ({row['fname']}): {error}") from error
        if file in images:
            raise FgbenchError(f"{path}, annotation {number}: {file} occurs twice")
        images[file] = (f"{folder}/{file}", label - 1, box)
    return list(images.values())


def _file_name(value: object) -> str:
    if not isinstance(value, str) or Path(value).name != value:
        raise ValueError(f"{value!r} is not a file name")
    return value

"""Stanford Cars (Krause et al., 3dRR 2013): 196 classes, in the official layout."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from fgbench.datasets.annotation_files import box_of_corners, first_present
from fgbench.datasets.index import Index
from fgbench.datasets.matlab import read_matlab
from fgbench.util.errors import FgbenchError

FOLDER = "stanford_cars"
PAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
NO_URL_REASON = "the official server has been offline for years"
LABELLED_TEST = "cars_test_annos_withlabels.mat"
UNLABELLED_TEST = "cars_test_annos.mat"
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

JOINED, JOINED_IMAGES = "cars_annos.mat", "car_ims"
"""Annotations and folder of the images of both splits, in the other edition of the data set."""
OTHER_LAYOUTS = (
    ("cars_meta.mat",),
    ("devkit/devkit/cars_meta.mat",),
    ("car_devkit/devkit/cars_meta.mat",),
    (JOINED, JOINED_IMAGES),
)
"""Other sets of files and folders that are read."""

CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
"""Fields of the box: first and last pixel, counted from 1."""


def load(root: Path, name: str = "cars") -> Index:
    """Read the annotation files; no image is opened.

    The training images come first, then the test images, each in the order of their file. Ids count from 1 over both.
    The box of a whole image is 0, 0, width, height. Annotation files are also found in `devkit` and in the folder
    itself, and images in a folder `cars_train/cars_train`. The other edition, `cars_annos.mat` with the images in
    `car_ims`, has the images of both splits in an order of its own.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    meta = _found(root, TABLES["classes"])
    if not meta.exists() and (root / JOINED).exists():
        meta = root / JOINED
        classes = _classes(meta)
        images = _annotations(meta, "", classes)
    else:
        classes = _classes(meta)
        _check_test_labels(root)
        images = [
            image
            for split in ("train", "test")
            for image in _annotations(_found(root, TABLES[split]), f"cars_{split}", classes)
        ]
    files = tuple(image.file for image in images)
    labels = [image.label for image in images]
    if unused := set(range(len(classes))) - set(labels):
        raise FgbenchError(f"{meta}: class {classes[min(unused)]!r} has no image")
    return Index(
        name=name,
        root=root,
        ids=np.arange(1, len(files) + 1, dtype=np.int64),
        files=files,
        labels=np.array(labels, dtype=np.int64),
        train=np.array([image.train for image in images]),
        classes=classes,
        boxes=np.array([image.box for image in images]),
        stored=_nested(root, files),
    )


def _found(root: Path, name: str) -> Path:
    """Return the path of an annotation file, in its official place or in another usual one."""
    file = PurePath(name).name
    return first_present(root, name, f"devkit/{file}", file, f"devkit/devkit/{file}", f"car_devkit/devkit/{file}")


def _classes(path: Path) -> tuple[str, ...]:
    classes = tuple(str(item) for item in read_matlab(path, "class_names", PUBLISHED_MD5).tolist())
    if len(set(classes)) != len(classes):
        raise FgbenchError(f"{path}: a class name occurs twice")
    return classes


def _nested(root: Path, files: tuple[str, ...]) -> dict[str, str]:
    """Return the path on disk of images in folders that contain a folder of the same name, by official path."""
    places = {file: f"{file.partition('/')[0]}/{file}" for file in files}
    first = {file.partition("/")[0]: file for file in reversed(files)}  # the first image of each folder
    nested = {folder for folder, file in first.items() if not (root / file).exists() and (root / places[file]).exists()}
    return {file: place for file, place in places.items() if file.partition("/")[0] in nested}


def _check_test_labels(root: Path) -> None:
    """Raise FgbenchError if only test annotations without classes are present."""
    if _found(root, LABELLED_TEST).exists():
        return
    for other in (f"devkit/{UNLABELLED_TEST}", UNLABELLED_TEST):
        if (root / other).exists():
            raise FgbenchError(
                f"{root / LABELLED_TEST} is missing; {other} cannot replace it, because it has no classes",
                f"get {LABELLED_TEST} (see {PAGE})",
            )


class _Image(NamedTuple):
    """An annotated image."""

    file: str
    label: int
    train: bool
    box: list[float]


def _annotations(path: Path, folder: str, classes: Sequence[str]) -> list[_Image]:
    """Return the images of one annotation file.

    Args:
        path: the file.
        folder: folder of its images; empty for the file of both splits, which says it for each image.
        classes: names of the classes.
    """
    table = read_matlab(path, "annotations", PUBLISHED_MD5)
    name_field = "fname" if folder else "relative_im_path"
    required = (*CORNERS, "class", name_field, *([] if folder else ["test"]))
    if missing := [field for field in required if field not in (table.dtype.names or ())]:
        hint = f"get the official {path.name}; it is not {UNLABELLED_TEST}" if missing == ["class"] else ""
        raise FgbenchError(f"{path}: the annotations have no field {', '.join(missing)}", hint)
    images: dict[str, _Image] = {}
    for number, row in enumerate(table, 1):
        try:
            file = _file_name(row[name_field], "" if folder else f"{JOINED_IMAGES}/")
            label = _integer(row["class"])
            if not 1 <= label <= len(classes):
                raise ValueError(f"class {label} is not one of the {len(classes)} classes in {TABLES['classes']}")
            if not folder and (test := _integer(row["test"])) not in {0, 1}:
                raise ValueError(f"test is {test}, not 1 (test) or 0 (training)")
            train = folder == "cars_train" if folder else test == 0
            box = box_of_corners(*(float(row[corner]) for corner in CORNERS))
        except (TypeError, ValueError, OverflowError) as error:
            raise FgbenchError(f"{path}, annotation {number} ({row[name_field]}): {error}") from error
        if file in images:
            raise FgbenchError(f"{path}, annotation {number}: {file} occurs twice")
        images[file] = _Image(f"{folder or JOINED_IMAGES}/{file}", label - 1, train, box)
    return list(images.values())


def _integer(value: Any) -> int:
    if int(value) != value:
        raise ValueError(f"{value} is not an integer")
    return int(value)


def _file_name(value: object, start: str) -> str:
    """Return the name of an image, which is written after the name of its folder in the file of both splits."""
    name = value.removeprefix(start) if isinstance(value, str) and value.startswith(start) else None
    if not name or Path(name).name != name:
        raise ValueError(f"{value!r} is not a file name")
    return name

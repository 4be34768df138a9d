"""FGVC-Aircraft 2013b with 100 variants as classes, in the official layout (Maji et al., arXiv:1306.5151).

The lowest 20 pixel rows of each image are a banner with the name of the photographer. The official instructions ask to
remove it. The index describes the files as they are; a recipe can remove the banner in its pipeline.
"""

import os
from pathlib import Path, PurePath

import numpy as np

from fgbench.datasets.annotation_files import box_of_corners, finite_number, first_present, read_lines, read_table
from fgbench.datasets.index import Index
from fgbench.util.errors import FgbenchError

FOLDER = "fgvc-aircraft-2013b"
URL = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"
MD5 = "d4acdd33327262359767eeaa97a4f732"
PAGE = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/"

COUNTS = {"train": 6667, "test": 3333, "classes": 100}
"""Counts of the official data; 10,000 images in total."""

TABLES = {
    "train": "data/images_variant_trainval.txt",
    "test": "data/images_variant_test.txt",
    "classes": "data/variants.txt",
    "boxes": "data/images_box.txt",
}
"""Kind of annotation or count -> file that it is read from."""
TRAIN_AND_VAL = ("data/images_variant_train.txt", "data/images_variant_val.txt")
"""Files of the two parts of the training split."""

IMAGES = "data/images"
"""Folder of the images."""
WITHOUT_SUFFIX = ("data/variants", IMAGES)
"""Files and folders of a copy whose text files have no suffix."""


def load(root: Path, name: str = "aircraft") -> Index:
    """Read the annotation files; no image is opened.

    The training split contains the official training and validation images. Images are in the order of
    `images_variant_trainval.txt`, then `images_variant_test.txt`. The box of a whole image is 0, 0, width, height. The
    files count pixels from 1, but some official boxes begin at 0; these begin at -1 in the index. Files whose suffix
    `.txt` or `.jpg` was removed are read, too. A data set without `images_box.txt` has no boxes. Without
    `images_variant_trainval.txt`, the training split is `images_variant_train.txt`, then `images_variant_val.txt`.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    classes = _variants(_list(root, TABLES["classes"]))
    train = _training(root, classes)
    test = _labels(_list(root, TABLES["test"]), classes)
    if in_both := sorted(set(train) & set(test)):
        raise FgbenchError(f"{_list(root, TABLES['test'])}: image {in_both[0]:07d} is also in the training split")
    labels = train | test
    if unused := set(classes.values()) - set(labels.values()):
        variant = list(classes)[min(unused)]
        raise FgbenchError(f"{_list(root, TABLES['classes'])}: variant {variant!r} has no image")
    files = tuple(f"{IMAGES}/{number:07d}.jpg" for number in labels)
    return Index(
        name=name,
        root=root,
        ids=np.array(list(labels), dtype=np.int64),
        files=files,
        labels=np.array(list(labels.values()), dtype=np.int64),
        train=np.arange(len(labels)) < len(train),
        classes=tuple(classes),
        boxes=_boxes(_list(root, TABLES["boxes"]), list(labels)),
        stored=_without_suffix(root, files),
    )


def _list(root: Path, name: str) -> Path:
    """Return the path of a text file, which may have lost its suffix."""
    return first_present(root, name, name.removesuffix(".txt"))


def _without_suffix(root: Path, files: tuple[str, ...]) -> dict[str, str]:
    """Return the path on disk of the images that have lost their suffix, by official path."""
    if all((root / file).is_file() for file in files[:1]):
        return {}
    try:
        names = {path.name for path in (root / IMAGES).iterdir()}
    except OSError:
        return {}
    missing = [file for file in files if PurePath(file).name not in names]
    return {file: file.removesuffix(".jpg") for file in missing if PurePath(file).stem in names}


def _variants(path: Path) -> dict[str, int]:
    """Return the label of each variant, from a file with one name per line."""
    names = [line.strip() for line in read_lines(path) if line.strip()]
    labels = {variant: label for label, variant in enumerate(names)}
    if len(labels) != len(names):
        repeated = next(variant for label, variant in enumerate(names) if labels[variant] != label)
        raise FgbenchError(f"{path}: variant {repeated!r} occurs twice")
    return labels


def _labels(path: Path, classes: dict[str, int]) -> dict[int, int]:
    """Return the label of each image, from lines `image variant`. A variant may have several words."""

    def label(row: list[str]) -> int:
        variant = " ".join(row[1:])
        if variant not in classes:
            raise ValueError(f"variant {variant!r} is not in {TABLES['classes']}")
        return classes[variant]

    return read_table(path, 2, label, at_least=True)


def _boxes(path: Path, images: list[int]) -> np.ndarray | None:
    """Return the boxes of images; None without their file."""
    if not os.path.lexists(path):
        return None
    boxes = read_table(path, 5, lambda row: box_of_corners(*map(finite_number, row[1:])))
    if missing := [number for number in images if number not in boxes]:
        raise FgbenchError(f"{path}: no line for image {missing[0]:07d} ({len(missing)} images in total)")
    return np.array([boxes[number] for number in images])


def _training(root: Path, classes: dict[str, int]) -> dict[int, int]:
    """Return the label of each training image. The official training and validation files must agree with it."""
    path, parts = _list(root, TABLES["train"]), [_list(root, name) for name in TRAIN_AND_VAL]
    read = parts if not os.path.lexists(path) and all(map(os.path.lexists, parts)) else [path]
    train = {number: label for part in read for number, label in _labels(part, classes).items()}
    _check_train_and_val(root, classes, train)
    return train


def _check_train_and_val(root: Path, classes: dict[str, int], train: dict[int, int]) -> None:
    """Raise FgbenchError unless the official training and validation files together equal the training split."""
    trainval = _list(root, TABLES["train"])
    remaining = dict(train)
    for part in TRAIN_AND_VAL:
        path = _list(root, part)
        for number, label in _labels(path, classes).items():
            if number not in train:
                raise FgbenchError(f"{path}: image {number:07d} is not in {trainval.name}")
            if number not in remaining:
                raise FgbenchError(f"{path}: image {number:07d} is also in images_variant_train.txt")
            if remaining.pop(number) != label:
                raise FgbenchError(f"{path}: image {number:07d} has another variant in {trainval.name}")
    if remaining:
        raise FgbenchError(
            f"{trainval}: image {next(iter(remaining)):07d} is in neither images_variant_train.txt nor "
            f"images_variant_val.txt ({len(remaining)} images in total)"
        )

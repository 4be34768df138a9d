"""FGVC-Aircraft 2013b at the level of variants, in its official layout (Maji et al., arXiv:1306.5151).

Each image ends in a banner of 20 pixels with the photographer's name, and the official instructions ask to remove it.
The index describes the files as they are: what is cut off is for a recipe's pipeline to say, and where a paper does not
say what it did, so must the recipe.
"""

from pathlib import Path

import numpy as np

from fgbench.datasets.annotation_files import box_of_corners, read_lines, read_table
from fgbench.datasets.index import Index
from fgbench.util.errors import FgbenchError

FOLDER = "fgvc-aircraft-2013b"
URL = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"
MD5 = "d4acdd33327262359767eeaa97a4f732"
PAGE = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/"

COUNTS = {"train": 6667, "test": 3333, "classes": 100}
"""What the official files hold; 10,000 images."""

TABLES = {
    "train": "data/images_variant_trainval.txt",
    "test": "data/images_variant_test.txt",
    "classes": "data/variants.txt",
    "boxes": "data/images_box.txt",
}
"""The file each annotation is read from."""


def load(root: Path, name: str = "aircraft") -> Index:
    """Read the annotation files under `root`; opens no image.

    The training split is the official training and validation images together. Images are in the order of
    `images_variant_trainval.txt`, then `images_variant_test.txt`. A box is 0, 0, width, height when it covers the whole
    image; the files count pixels from 1, but some boxes in them begin at 0, and so here at -1.

    Raises:
        FgbenchError: a file is missing, malformed or does not fit the others; names the file and the line.
    """
    classes = _variants(root / TABLES["classes"])
    train = _labels(root / TABLES["train"], classes)
    test = _labels(root / TABLES["test"], classes)
    if twice := sorted(set(train) & set(test)):
        raise FgbenchError(f"{root / TABLES['test']}: image {twice[0]:07d} is in {TABLES['train']}, too")
    _check_halves(root, classes, train)
    labels = train | test
    if unused := set(classes.values()) - set(labels.values()):
        odd = list(classes)[min(unused)]
        raise FgbenchError(f"{root / TABLES['classes']}: the variant {odd!r} has no image")
    boxes = read_table(root / TABLES["boxes"], 5, lambda row: box_of_corners(*map(float, row[1:])))
    if missing := [number for number in labels if number not in boxes]:
        raise FgbenchError(f"{root / TABLES['boxes']}: no line for image {missing[0]:07d} ({len(missing)} have none)")
    return Index(
        name=name,
        root=root,
        ids=np.array(list(labels), dtype=np.int64),
        files=tuple(f"data/images/{number:07d}.jpg" for number in labels),
        labels=np.array(list(labels.values()), dtype=np.int64),
        train=np.arange(len(labels)) < len(train),
        classes=tuple(classes),
        boxes=np.array([boxes[number] for number in labels]),
    )


def _variants(path: Path) -> dict[str, int]:
    """Label of each variant, from a file with one name a line."""
    names = [line.strip() for line in read_lines(path) if line.strip()]
    labels = {variant: label for label, variant in enumerate(names)}
    if len(labels) != len(names):
        odd = next(variant for label, variant in enumerate(names) if labels[variant] != label)
        raise FgbenchError(f"{path}: the variant {odd!r} stands twice")
    return labels


def _labels(path: Path, classes: dict[str, int]) -> dict[int, int]:
    """Label of each image, from lines `image variant`, where a variant may be several words."""

    def label(row: list[str]) -> int:
        variant = " ".join(row[1:])
        if variant not in classes:
            raise ValueError(f"the variant {variant!r} is not in {TABLES['classes']}")
        return classes[variant]

    return read_table(path, 2, label, at_least=True)


def _check_halves(root: Path, classes: dict[str, int], train: dict[int, int]) -> None:
    """Raise FgbenchError unless the official training and validation files together are the training split."""
    together = root / TABLES["train"]
    rest = dict(train)
    for half in ("train", "val"):
        path = root / f"data/images_variant_{half}.txt"
        for number, label in _labels(path, classes).items():
            if number not in train:
                raise FgbenchError(f"{path}: image {number:07d} is not in {together.name}")
            if number not in rest:
                raise FgbenchError(f"{path}: image {number:07d} is in images_variant_train.txt, too")
            if rest.pop(number) != label:
                raise FgbenchError(f"{path}: image {number:07d} has another variant than in {together.name}")
    if rest:
        odd = f"image {next(iter(rest)):07d} is in neither images_variant_train.txt nor images_variant_val.txt"
        raise FgbenchError(f"{together}: {odd} ({len(rest)} are in neither)")

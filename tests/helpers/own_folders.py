"""Folders with images of a user."""

import csv

import numpy as np
from PIL import Image

IMAGES = {
    "train": {"ash": 4, "fern, blue": 3, "Öl-Weide": 3},
    "test": {"ash": 2, "fern, blue": 2, "Öl-Weide": 2},
}
"""Split -> class -> number of images. Names have a comma, a space and letters beyond ASCII."""


def draw(path, number=0, size=(40, 32)):
    """Draw an image that differs from those of other numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


def fill(root, images=IMAGES):
    """Draw the folders train and test; return the root."""
    number = 0
    for split, classes in images.items():
        for name, count in classes.items():
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for image in range(count):
                draw(root / split / name / f"{image}.png", number := number + 1)
    return root


def write_split(root, rows, columns=("file", "label", "split"), *, drawn=True):
    """Write split.csv with some rows, and draw their files; return the root."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "split.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    for number, row in enumerate(rows):
        if drawn:
            draw(root / row[0], number)
    return root

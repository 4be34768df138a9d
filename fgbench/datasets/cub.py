"""Caltech-UCSD Birds-200-2011 in the official layout (Wah et al., CNS-TR-2011-001)."""

from pathlib import Path

import numpy as np

from fgbench.datasets import cub_layout
from fgbench.datasets.annotation_files import finite_number, integer, read_lines, read_table
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

TABLES = cub_layout.TABLES
"""Kind of annotation or count -> file that it is read from."""


def load(root: Path, name: str = "cub") -> Index:
    """Read the annotation files; no image is opened.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    return cub_layout.read_layout(root, name, integer)


def fits(root: Path) -> bool:
    """Return True if images.txt has numbers as ids, and not UUIDs as that of NABirds."""
    return cub_layout.first_image_id(root).isdigit()


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

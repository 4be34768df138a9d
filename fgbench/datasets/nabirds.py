"""NABirds, photographs of North American birds, in the official layout (Van Horn et al., CVPR 2015).

The official README was read in a public copy, and classes.txt and hierarchy.txt in another one. In that copy 555 of the
1,011 classes have no subclass, and their names differ. Annotations of images were not at hand, so the sizes of the
splits are those that papers on NABirds state, and no hash of the official annotations is known.
"""

import re
from pathlib import Path

from fgbench.datasets import cub_layout
from fgbench.datasets.index import Index

FOLDER = "nabirds"
PAGE = "https://dl.allaboutbirds.org/nabirds"
NO_URL_REASON = "the Cornell Lab of Ornithology asks for a form to be filled in"
FILES = {
    "images.txt": "id and file of each image",
    "image_class_labels.txt": "class of each image",
    "classes.txt": "names of the 1,011 classes, 555 of which have images",
    "train_test_split.txt": "1 for a training image, 0 for a test image",
    "bounding_boxes.txt": "box of each bird",
    "parts/parts.txt": "names of the 11 keypoints",
    "parts/part_locs.txt": "keypoints of each image",
    "images/": "a folder for each class, such as 0817",
}
"""File or folder of the data set -> its content. The archive also contains files that are not read: hierarchy.txt,
sizes.txt and photographers.txt."""

COUNTS = {"train": 23929, "test": 24633, "classes": 555}
"""Counts of the official data; 48,562 images in total. The abstract of the paper states the images and classes."""

TABLES = cub_layout.TABLES
"""Kind of annotation or count -> file that it is read from."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def load(root: Path, name: str = "nabirds") -> Index:
    """Read the annotation files; no image is opened.

    The official ids of the images are UUIDs. The ids of the index are the positions in images.txt, counted from 1. The
    labels count the classes with images in the order of their ids.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    return cub_layout.read_layout(root, name, _image_id, is_tree=True)


def fits(root: Path) -> bool:
    """Return True if images.txt has UUIDs as ids, and not numbers as that of CUB-200-2011."""
    return _ID.fullmatch(cub_layout.first_image_id(root)) is not None


def _image_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError(f"{text!r} is not an image id such as 0000139e-21dc-4d0c-bfe1-4cae3c85c829")
    return text

"""Market-1501 (Zheng et al., ICCV 2015) in the official layout. The file name of an image is its only annotation."""

import re
from pathlib import Path

import numpy as np

from fgbench.datasets.reid import JUNK, ReidIndex, ReidSplit, check_disjoint, has_image, list_images
from fgbench.util.errors import FgbenchError

FOLDER = "Market-1501-v15.09.15"
PAGE = "https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html"
NO_URL_REASON = "the official server is offline, and the authors send the data on request"
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
FILES = {
    f"{TRAIN}/": "12,936 images, such as 0002_c1s1_000451_03.jpg",
    f"{GALLERY}/": "19,732 images, with 0000_... (distractors) and -1_... (junk)",
    f"{QUERY}/": "3,368 images",
}
"""File or folder of the data set -> its content."""

COUNTS = {
    "train": 12936,
    "query": 3368,
    "gallery": 15913,
    "junk": 3819,
    "train_identities": 751,
    "test_identities": 750,
    "cameras": 6,
}
"""Counts of the official data. Gallery and junk together are the 19,732 images of `bounding_box_test`."""

TABLES = {
    "train": TRAIN,
    "train_identities": TRAIN,
    "query": QUERY,
    "test_identities": QUERY,
    "gallery": GALLERY,
    "junk": GALLERY,
    "cameras": GALLERY,
}
"""Count -> folder that it is read from."""

DISTRACTOR = 0
"""Identity of gallery images with no person or a small part of one. They are wrong results for every query."""

_NAME_PATTERN = re.compile(r"(-1|\d{4})_c([1-6])s\d+_\d+_\d+\.jpg")


def fits(root: Path) -> bool:
    """Return True if the queries have names of Market-1501. Other data sets have folders of the same names."""
    return has_image(root / QUERY, _NAME_PATTERN)


def load(root: Path, name: str = "market1501") -> ReidIndex:
    """Read the names of the images; no image is opened.

    Images are in the order training, query, gallery, sorted by name within each folder. Junk images (-1) are in the
    index, but not in the gallery, because the official protocol ignores them.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a folder is missing, a file name is malformed, or a person is in both training and test.
    """
    files: list[str] = []
    identities: list[int] = []
    cameras: list[int] = []
    rows: dict[str, np.ndarray] = {}
    for folder in (TRAIN, QUERY, GALLERY):
        start = len(files)
        for image, match in list_images(root / folder, _NAME_PATTERN, "0002_c1s1_000451_03.jpg"):
            identity, camera = int(match[1]), int(match[2])
            if identity <= 0 and folder != GALLERY:
                raise FgbenchError(f"{root / folder / image}: only {GALLERY} may contain distractors and junk")
            files.append(f"{folder}/{image}")
            identities.append(identity)
            cameras.append(camera)
        rows[folder] = np.arange(start, len(files), dtype=np.int64)
    all_identities = np.array(identities, dtype=np.int64)
    split = ReidSplit(
        name="official",
        number=1,
        train=rows[TRAIN],
        query=rows[QUERY],
        gallery=rows[GALLERY][all_identities[rows[GALLERY]] != JUNK],
    )
    check_disjoint(root, all_identities, split, files)
    return ReidIndex(
        name=name,
        root=root,
        files=tuple(files),
        identities=all_identities,
        cameras=np.array(cameras, dtype=np.int64),
        splits=(split,),
    )

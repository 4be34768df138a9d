"""Market-1501 (Zheng et al., ICCV 2015) in its official layout: all that is known of an image is in its name."""

import re
from pathlib import Path

import numpy as np

from fgbench.datasets.reid import JUNK, ReidIndex, ReidSplit, check_disjoint, list_images
from fgbench.util.errors import FgbenchError

FOLDER = "Market-1501-v15.09.15"
PAGE = "https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html"
NO_URL_REASON = "its official server answers no longer, and its authors give it to those who ask"
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
FILES = {
    f"{TRAIN}/": "12,936 images, such as 0002_c1s1_000451_03.jpg",
    f"{GALLERY}/": "19,732 images, with 0000_... (distractors) and -1_... (junk)",
    f"{QUERY}/": "3,368 images",
}
"""What the folder holds, and what is in it."""

COUNTS = {
    "train": 12936,
    "query": 3368,
    "gallery": 15913,
    "junk": 3819,
    "train_identities": 751,
    "test_identities": 750,
    "cameras": 6,
}
"""What the official files hold. Gallery and junk together are the 19,732 images of `bounding_box_test`."""

TABLES = {
    "train": TRAIN,
    "train_identities": TRAIN,
    "query": QUERY,
    "test_identities": QUERY,
    "gallery": GALLERY,
    "junk": GALLERY,
    "cameras": GALLERY,
}
"""The folder each of the counts stands in."""

DISTRACTOR = 0
"""Identity of the gallery images that show no person, or too little of one: wrong for every query."""

_NAME = re.compile(r"(-1|\d{4})_c([1-6])s\d+_\d+_\d+\.jpg")


def load(root: Path, name: str = "market1501") -> ReidIndex:
    """Read the names of the images under `root`; opens none.

    Images are those of training, query and gallery folder, in the order of their names. Junk (-1) is indexed, but not
    part of the gallery, where by the official protocol it has no influence.

    Raises:
        FgbenchError: a folder is missing, a name does not fit, or a person is in training and test; names the file.
    """
    files: list[str] = []
    identities: list[int] = []
    cameras: list[int] = []
    rows: dict[str, np.ndarray] = {}
    for folder in (TRAIN, QUERY, GALLERY):
        start = len(files)
        for image, match in list_images(root / folder, _NAME, "0002_c1s1_000451_03.jpg"):
            identity, camera = int(match[1]), int(match[2])
            if identity <= 0 and folder != GALLERY:
                raise FgbenchError(f"{root / folder / image}: only {GALLERY} may hold distractors and junk")
            files.append(f"{folder}/{image}")
            identities.append(identity)
            cameras.append(camera)
        rows[folder] = np.arange(start, len(files), dtype=np.int64)
    who = np.array(identities, dtype=np.int64)
    split = ReidSplit(
        name="official",
        number=1,
        train=rows[TRAIN],
        query=rows[QUERY],
        gallery=rows[GALLERY][who[rows[GALLERY]] != JUNK],
    )
    check_disjoint(root, who, split, files)
    return ReidIndex(
        name=name,
        root=root,
        files=tuple(files),
        identities=who,
        cameras=np.array(cameras, dtype=np.int64),
        splits=(split,),
    )

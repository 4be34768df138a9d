"""VIPeR (Gray et al., PETS 2007) in its official layout: 632 persons, one image a person in each of two cameras."""

import hashlib
import re
from pathlib import Path

import numpy as np

from fgbench.datasets.reid import ReidIndex, ReidSplit, list_images
from fgbench.util.errors import FgbenchError

FOLDER = "VIPeR"
URL = "http://users.soe.ucsc.edu/~manduchi/VIPeR.v1.0.zip"
MD5 = "1c2d9fc1cc800332567a0da25a1ce68c"
"""As open-reid has published it."""
PAGE = "https://vision.soe.ucsc.edu/node/178"

CAMERAS = ("cam_a", "cam_b")
SPLITS = 10
COUNTS = {
    "images": 1264,
    "train": 632,
    "query": 316,
    "gallery": 316,
    "train_identities": 316,
    "test_identities": 316,
    "cameras": 2,
    "splits": 2 * SPLITS,
}
"""What the official files hold. Persons are numbered from 0 to 873, with gaps."""
TABLES = dict.fromkeys(COUNTS, " and ".join(CAMERAS))
"""The folders each of the counts stands in."""

_NAME = re.compile(r"(\d{3})_(\d{1,3})\.bmp")


def load(root: Path, name: str = "viper") -> ReidIndex:
    """Read the names of the images under `root`; opens none.

    The data set ships no split; the custom is ten random halves of the persons. They are the same ten here in every
    call and on every machine. Each comes twice: `1a` searches with the images of camera a in those of camera b, and
    `1b` the other way round.

    Raises:
        FgbenchError: a folder is missing, a name does not fit, or a person has not one image a camera; names the file.
    """
    found = [_camera(root / camera) for camera in CAMERAS]
    for here, there, other in ((0, 1, found[1]), (1, 0, found[0])):
        for person, image in found[here].items():
            if person not in other:
                place = root / CAMERAS[here] / image
                raise FgbenchError(f"{place}: {CAMERAS[there]} has no image of person {person:03d}")
    persons = sorted(found[0])
    if len(persons) < 4:
        raise FgbenchError(f"{root}: {len(persons)} persons are too few to be divided")
    return ReidIndex(
        name=name,
        root=root,
        files=tuple(f"{camera}/{images[p]}" for camera, images in zip(CAMERAS, found, strict=True) for p in persons),
        identities=np.array(persons * 2, dtype=np.int64),
        cameras=np.repeat(np.array([1, 2], dtype=np.int64), len(persons)),
        splits=tuple(split for number in range(1, SPLITS + 1) for split in _both_ways(persons, number)),
    )


def _camera(folder: Path) -> dict[int, str]:
    """The image of each person."""
    images: dict[int, str] = {}
    for image, match in list_images(folder, _NAME, "000_45.bmp"):
        person = int(match[1])
        if person in images:
            raise FgbenchError(f"{folder / image}: person {person:03d} has {images[person]}, too")
        images[person] = image
    return images


def _both_ways(persons: list[int], number: int) -> tuple[ReidSplit, ReidSplit]:
    """A random half of the persons for training, the other half for test.

    Persons are in the order of a hash of their numbers, as generators of random numbers may differ between versions.
    """
    order = sorted(
        range(len(persons)), key=lambda row: hashlib.sha256(f"viper/{number}/{persons[row]}".encode()).digest()
    )
    half = len(persons) // 2
    learn, test = (np.array(sorted(rows), dtype=np.int64) for rows in (order[:half], order[half:]))
    train = np.concatenate([learn, learn + len(persons)])
    there = test + len(persons)
    return (
        ReidSplit(f"{number}a", number, train, query=test, gallery=there),
        ReidSplit(f"{number}b", number, train, query=there, gallery=test),
    )

"""VIPeR (Gray et al., PETS 2007) in the official layout: one image of each of 632 persons in each of 2 cameras."""

import hashlib
import re
from pathlib import Path

import numpy as np

from fgbench.datasets.reid import ReidIndex, ReidSplit, has_image, list_images
from fgbench.util.errors import FgbenchError

FOLDER = "VIPeR"
URL = "http://users.soe.ucsc.edu/~manduchi/VIPeR.v1.0.zip"
MD5 = "1c2d9fc1cc800332567a0da25a1ce68c"
"""MD5 checksum that open-reid publishes."""
PAGE = "https://vision.soe.ucsc.edu/node/178"

CAMERAS = ("cam_a", "cam_b")
"""Folders of the images."""
SPLITS = 10
"""Number of random halves of the persons."""
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
"""Counts of the official data. Persons are numbered from 0 to 873, with gaps."""
TABLES = dict.fromkeys(COUNTS, " and ".join(CAMERAS))
"""Count -> folders that it is read from."""

_NAME_PATTERN = re.compile(r"(\d{3})_(\d{1,3})\.bmp")


def fits(root: Path) -> bool:
    """Return True if the images of the first camera have names of VIPeR."""
    return has_image(root / CAMERAS[0], _NAME_PATTERN)


def load(root: Path, name: str = "viper") -> ReidIndex:
    """Read the names of the images; no image is opened.

    The data set contains no official split. Papers use ten random halves of the persons. The halves of this function
    are equal in every call and on every machine. Each half gives two splits: in `1a`, the queries are from camera a and
    the gallery is from camera b; in `1b`, they are exchanged.

    Args:
        root: folder of the data set.
        name: name of the data set.

    Raises:
        FgbenchError: a folder is missing, a file name is malformed, or a person does not have one image per camera.
    """
    by_camera = [_read_camera(root / camera) for camera in CAMERAS]
    for camera, other in ((0, 1), (1, 0)):
        for person, image in by_camera[camera].items():
            if person not in by_camera[other]:
                file = root / CAMERAS[camera] / image
                raise FgbenchError(f"{file}: {CAMERAS[other]} has no image of person {person:03d}")
    persons = sorted(by_camera[0])
    if len(persons) < 4:
        raise FgbenchError(f"{root}: {len(persons)} persons are too few for a split; at least 4 are needed")
    return ReidIndex(
        name=name,
        root=root,
        files=tuple(
            f"{camera}/{images[person]}"
            for camera, images in zip(CAMERAS, by_camera, strict=True)
            for person in persons
        ),
        identities=np.array(persons * 2, dtype=np.int64),
        cameras=np.repeat(np.array([1, 2], dtype=np.int64), len(persons)),
        splits=tuple(split for number in range(1, SPLITS + 1) for split in _two_splits(persons, number)),
    )


def _read_camera(folder: Path) -> dict[int, str]:
    """Return the image of each person."""
    images: dict[int, str] = {}
    for image, match in list_images(folder, _NAME_PATTERN, "000_45.bmp"):
        person = int(match[1])
        if person in images:
            raise FgbenchError(f"{folder / image}: person {person:03d} also has {images[person]}")
        images[person] = image
    return images


def _two_splits(persons: list[int], number: int) -> tuple[ReidSplit, ReidSplit]:
    """Return the two splits with a random half of the persons for training and the other half for test.

    The persons are sorted by a hash of their numbers, because random generators may differ between versions.
    """
    order = sorted(
        range(len(persons)), key=lambda row: hashlib.sha256(f"viper/{number}/{persons[row]}".encode()).digest()
    )
    half = len(persons) // 2
    train_persons, test_persons = (np.array(sorted(rows), dtype=np.int64) for rows in (order[:half], order[half:]))
    train = np.concatenate([train_persons, train_persons + len(persons)])
    camera_a, camera_b = test_persons, test_persons + len(persons)
    return (
        ReidSplit(f"{number}a", number, train, query=camera_a, gallery=camera_b),
        ReidSplit(f"{number}b", number, train, query=camera_b, gallery=camera_a),
    )

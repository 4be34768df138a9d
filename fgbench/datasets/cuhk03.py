"""CUHK03 (Li et al., CVPR 2014) from its official `cuhk-03.mat`, and its 767/700 protocol (Zhong et al., CVPR 2017).

What is what: the file holds 1,467 persons, from five pairs of cameras with 843, 440, 77, 58 and 49 of them, in 14,096
labelled and 14,097 detected boxes. The paper counts the 1,360 of the first three pairs, hence six cameras, and 13,164
images; of these persons it uses 100 for test, 100 for validation and 1,160 for training. The 20 official test sets name
the 100 alone; here, all others are for training.
"""

import re
from pathlib import Path

import numpy as np

from fgbench.datasets.cuhk03_mat import BOXES, MAT, Content, extracted
from fgbench.datasets.matlab import read_matlab
from fgbench.datasets.reid import ReidIndex, ReidSplit, check_disjoint
from fgbench.util.errors import FgbenchError

FOLDER = "cuhk03_release"
PAGE = "https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html"
NO_URL_REASON = "its authors give it to those who ask"
NEW_PAGE = "https://github.com/zhunzhong07/person-re-ranking, evaluation/data/CUHK03"
CONFIG = "cuhk03_new_protocol_config_{}.mat"
FILES = {
    MAT: "images and the 20 test sets",
    **{CONFIG.format(boxes): f"the 767/700 protocol, from {NEW_PAGE}" for boxes in BOXES},
}
"""What the folder holds, and what is in it."""

COUNTS = {
    boxes: {
        "images": images,
        "train_identities": 1367,
        "test_identities": 100,
        "cameras": 2,
        "splits": 21,
    }
    for boxes, images in (("labeled", 14096), ("detected", 14097))
}
"""What the official files hold, by how the boxes were made."""
TABLES = {
    boxes: {**dict.fromkeys(COUNTS[boxes], MAT), "splits": f"{MAT} and {CONFIG.format(boxes)}"} for boxes in BOXES
}
"""The files each of the counts stands in."""

NEW_SPLIT = "767/700"
_NAME = re.compile(r"([1-5])_(\d{3,4})_([12])_(\d{2})\.png")
PERSONS = 10_000
"""Identities are this times the number of the camera pair, plus the number of the person in it."""


def load(root: Path, name: str = "cuhk03", boxes: str = "labeled") -> ReidIndex:
    """Read the data set; at the first call its images are extracted into the cache (see `extracted`).

    Cameras are 1 and 2, the two of a pair, as the data set does not say which cameras its pairs have in common. Splits
    are `1` to `20`, where all images of 100 persons are queries and gallery, and `767/700` when its file is there.

    Args:
        root: the folder with the official files.
        name: the data set.
        boxes: `labeled` by hand or `detected`.

    Raises:
        FgbenchError: a file is missing, malformed or does not fit the others; names the file.
    """
    folder, content = extracted(root / MAT)
    files = tuple(content.files[boxes])
    identities, cameras = _identities(root / MAT, files)
    splits = [_classic(root / MAT, content, number, identities) for number in range(1, len(content.testsets) + 1)]
    config = root / CONFIG.format(boxes)
    if config.exists():
        splits.append(_new(config, files, identities, number=len(splits) + 1))
    for split in splits:
        check_disjoint(config if split.name == NEW_SPLIT else root / MAT, identities, split, files)
    return ReidIndex(
        name=name,
        root=folder,
        files=tuple(f"{boxes}/{file}" for file in files),
        identities=identities,
        cameras=cameras,
        splits=tuple(splits),
    )


def load_detected(root: Path, name: str = "cuhk03_detected") -> ReidIndex:
    """`load` with the detected boxes."""
    return load(root, name, "detected")


def _identities(path: Path, files: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Identity and camera of each image, from its name."""
    matches = [_NAME.fullmatch(file) for file in files]
    for file, match in zip(files, matches, strict=True):
        if match is None:
            raise FgbenchError(f"{path}: what was extracted of it has an odd name, {file}", "clear FGBENCH_CACHE")
    parts = np.array([[int(part) for part in match.groups()] for match in matches if match], dtype=np.int64)
    return parts[:, 0] * PERSONS + parts[:, 1], parts[:, 2]


def _classic(path: Path, content: Content, number: int, identities: np.ndarray) -> ReidSplit:
    persons = np.array([pair * PERSONS + person for pair, person in content.testsets[number - 1]], dtype=np.int64)
    if unknown := sorted(set(persons.tolist()) - set(identities.tolist())):
        pair, person = divmod(unknown[0], PERSONS)
        raise FgbenchError(f"{path}: test set {number} names person {person} of camera pair {pair}, who has no image")
    if len(np.unique(persons)) != len(persons):
        raise FgbenchError(f"{path}: test set {number} names a person twice")
    test = np.isin(identities, persons)
    return ReidSplit(str(number), number, np.flatnonzero(~test), np.flatnonzero(test), np.flatnonzero(test))


def _new(config: Path, files: tuple[str, ...], identities: np.ndarray, number: int) -> ReidSplit:
    """The 767/700 protocol: rows of its own list of the images, counted from 1."""
    rows = {file: row for row, file in enumerate(files)}
    listed = [str(file) for file in read_matlab(config, "filelist").tolist()]
    for file in listed:
        if file not in rows:
            raise FgbenchError(f"{config}: {file} is no image of {MAT}")
    if len(set(listed)) != len(listed):
        raise FgbenchError(f"{config}: an image is listed twice")
    place = np.array([rows[file] for file in listed], dtype=np.int64)
    labels = read_matlab(config, "labels")
    pairs = set(zip(identities[place].tolist(), labels.tolist(), strict=False))
    if len(labels) != len(listed) or not len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
        raise FgbenchError(f"{config}: its labels do not agree with the persons in the names of the images")

    def role(variable: str) -> np.ndarray:
        numbers = read_matlab(config, variable)
        if numbers.dtype.kind not in "iuf" or numbers.min() < 1 or numbers.max() > len(place):
            raise FgbenchError(f"{config}: {variable} does not fit its list of {len(place)} images")
        found: np.ndarray = place[numbers.astype(np.int64) - 1]
        return found

    return ReidSplit(NEW_SPLIT, number, role("train_idx"), role("query_idx"), role("gallery_idx"))

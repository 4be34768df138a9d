"""CUHK03 (Li et al., CVPR 2014) from its official `cuhk-03.mat`, and its 767/700 protocol (Zhong et al., CVPR 2017).

The file contains 1,467 persons in 14,096 labelled and 14,097 detected boxes. The five camera pairs have 843, 440, 77,
58 and 49 persons. The paper describes the 1,360 persons and 13,164 images of the first three pairs (six cameras), with
100 persons for test, 100 for validation and 1,160 for training. The 20 official test sets list only the 100 test
persons. This module uses all other persons for training.
"""

from pathlib import Path

import numpy as np

from fgbench.datasets.cuhk03_extracted import (
    CLASSIC,
    EXTRACTED,
    NEW,
    has_extracted_images,
    read_new_split,
    read_testsets,
)
from fgbench.datasets.cuhk03_mat import BOXES, MAT, extract_images
from fgbench.datasets.cuhk03_persons import NAME_PATTERN, classic_split, identities_of
from fgbench.datasets.matlab import read_matlab
from fgbench.datasets.reid import ReidIndex, ReidSplit, check_disjoint, list_images
from fgbench.util.errors import ArgumentError, FgbenchError, nearest

FOLDER = "cuhk03_release"
OTHER_FOLDERS = ("cuhk03",)
"""Folder in which torchreid keeps `cuhk03_release`, its images and its splits."""
PAGE = "https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html"
NO_URL_REASON = "the authors send the data on request"
NEW_PROTOCOL_PAGE = "https://github.com/zhunzhong07/person-re-ranking, evaluation/data/CUHK03"
CONFIG = "cuhk03_new_protocol_config_{}.mat"
"""File of the 767/700 protocol for a kind of box."""
FILES = {
    MAT: "images and the 20 test sets",
    **{CONFIG.format(boxes): f"the 767/700 protocol, from {NEW_PROTOCOL_PAGE}" for boxes in BOXES},
}
"""File of the data set -> its content."""

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
"""Counts of the official data for each kind of box."""
TABLES = {
    boxes: {**dict.fromkeys(COUNTS[boxes], MAT), "splits": f"{MAT} and {CONFIG.format(boxes)}"} for boxes in BOXES
}
"""Count -> files that it is read from, for each kind of box."""

NEW_SPLIT = "767/700"
"""Name of the split of the 767/700 protocol."""


def load(root: Path, name: str = "cuhk03", boxes: str = "labeled") -> ReidIndex:
    """Read the data set; the first call extracts the images into the cache (see `extract_images`).

    Cameras are numbered 1 and 2 within each pair, because the data set does not say which pairs share a camera. In the
    splits `1` to `20`, all images of 100 persons are both queries and gallery. The split `767/700` exists if its file
    is present. Without `cuhk-03.mat`, the images and splits that torchreid has extracted from it are read.

    Args:
        root: folder with the official files.
        name: name of the data set.
        boxes: `labeled` (drawn by hand) or `detected`.

    Raises:
        ArgumentError: `boxes` is unknown.
        FgbenchError: a file is missing or malformed, or contradicts another file.
    """
    if boxes not in BOXES:
        raise ArgumentError(f"no kind of box {boxes!r}; {nearest(boxes, BOXES)}")
    if not (root / MAT).exists() and has_extracted_images(root, boxes):
        return _load_extracted(root, name, boxes)
    folder, content = extract_images(root / MAT)
    files = tuple(content.files[boxes])
    identities, cameras = identities_of(root / MAT, files)
    splits = [
        classic_split(root / MAT, testset, number, identities) for number, testset in enumerate(content.testsets, 1)
    ]
    config = _config(root, boxes)
    if config.exists():
        splits.append(_new_split(config, files, identities, number=len(splits) + 1))
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


def _config(root: Path, boxes: str) -> Path:
    """Return the file of the 767/700 protocol, in the folder of the data set or beside it, where torchreid has it."""
    file = CONFIG.format(boxes)
    return root.parent / file if not (root / file).exists() and (root.parent / file).exists() else root / file


def _load_extracted(root: Path, name: str, boxes: str) -> ReidIndex:
    """Read the images and splits that torchreid has extracted."""
    folder, path = root / EXTRACTED.format(boxes), root / CLASSIC.format(boxes)
    files = tuple(image for image, _ in list_images(folder, NAME_PATTERN, "1_001_1_01.png"))
    identities, cameras = identities_of(folder, files)
    splits = [classic_split(path, testset, number, identities) for number, testset in enumerate(read_testsets(path), 1)]
    config, new = _config(root, boxes), root / NEW.format(boxes)
    if config.exists():
        splits.append(_new_split(config, files, identities, number=len(splits) + 1))
    elif new.exists():
        splits.append(read_new_split(new, NEW_SPLIT, files, number=len(splits) + 1))
    for split in splits:
        check_disjoint(root, identities, split, files)
    official = tuple(f"{boxes}/{file}" for file in files)
    return ReidIndex(
        name=name,
        root=root,
        files=official,
        identities=identities,
        cameras=cameras,
        splits=tuple(splits),
        stored={path: f"{folder.name}/{file}" for path, file in zip(official, files, strict=True)},
    )


def load_detected(root: Path, name: str = "cuhk03_detected") -> ReidIndex:
    """Read the data set with the detected boxes; see `load`."""
    return load(root, name, "detected")


def _new_split(config: Path, files: tuple[str, ...], identities: np.ndarray, number: int) -> ReidSplit:
    """Return the split of the 767/700 protocol. Its file has its own list of images, and rows of this list from 1."""
    rows = {file: row for row, file in enumerate(files)}
    file_list = [str(file) for file in read_matlab(config, "filelist").tolist()]
    for file in file_list:
        if file not in rows:
            raise FgbenchError(f"{config}: {file} is not an image of {MAT}")
    if len(set(file_list)) != len(file_list):
        raise FgbenchError(f"{config}: an image occurs twice in the file list")
    positions = np.array([rows[file] for file in file_list], dtype=np.int64)
    labels = read_matlab(config, "labels")
    pairs = set(zip(identities[positions].tolist(), labels.tolist(), strict=False))
    if len(labels) != len(file_list) or not len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
        raise FgbenchError(f"{config}: the labels do not agree with the persons in the file names")

    def role(variable: str) -> np.ndarray:
        """Return the rows of the index for a variable of the file."""
        numbers = read_matlab(config, variable)
        if numbers.dtype.kind not in "iuf" or numbers.min() < 1 or numbers.max() > len(positions):
            raise FgbenchError(f"{config}: {variable} has rows outside the file list of {len(positions)} images")
        role_rows: np.ndarray = positions[numbers.astype(np.int64) - 1]
        return role_rows

    return ReidSplit(NEW_SPLIT, number, role("train_idx"), role("query_idx"), role("gallery_idx"))

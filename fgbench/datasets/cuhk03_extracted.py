"""CUHK03 as torchreid leaves it: folders of PNG files, and splits in JSON files with the names of the images.

torchreid names the images as `fgbench.datasets.cuhk03_mat` does: camera pair, person, camera and image, each from 1.
Its files list paths on the machine where they were written. Only the names of the files are used.
"""

from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from fgbench.datasets.cuhk03_persons import NAME_PATTERN
from fgbench.datasets.reid import ReidSplit
from fgbench.util.errors import FgbenchError
from fgbench.util.json_toml import read_json

EXTRACTED = "images_{}"
"""Folder of the images for a kind of box."""
CLASSIC = "splits_classic_{}.json"
"""File of the 20 official splits for a kind of box."""
NEW = "splits_new_{}.json"
"""File of the 767/700 split for a kind of box."""
LAYOUTS = {boxes: (EXTRACTED.format(boxes), CLASSIC.format(boxes)) for boxes in ("labeled", "detected")}
"""Kind of box -> folder and file that are read."""


def has_extracted_images(root: Path, boxes: str) -> bool:
    """Return True if a folder contains the images and the official splits for a kind of box."""
    return all((root / name).exists() for name in LAYOUTS[boxes])


def read_testsets(path: Path) -> list[list[tuple[int, int]]]:
    """Return camera pair and person of each identity for test, for each split of a file.

    Raises:
        FgbenchError: the file cannot be read or has another structure.
    """
    testsets = []
    for number, split in enumerate(_splits(path), 1):
        groups = [NAME_PATTERN.fullmatch(name) for name in _names(path, number, split, "query")]
        persons = {(int(match[1]), int(match[2])) for match in groups if match}
        if None in groups or not persons:
            raise FgbenchError(f"{path}: split {number} has no query, or one whose name is not like 1_001_1_01.png")
        testsets.append(sorted(persons))
    return testsets


def read_new_split(path: Path, name: str, files: tuple[str, ...], number: int) -> ReidSplit:
    """Return the split of a file with one split.

    Args:
        path: the file.
        name: name of the split.
        files: names of all images.
        number: number of the split.

    Raises:
        FgbenchError: the file cannot be read or has another structure, or lists an image that is not there.
    """
    rows = {file: row for row, file in enumerate(files)}
    split = _splits(path)[0]
    roles = []
    for role in ("train", "query", "gallery"):
        names = _names(path, 1, split, role)
        if unknown := [file for file in names if file not in rows]:
            raise FgbenchError(f"{path}: there is no image {unknown[0]} ({len(unknown)} of {role} in total)")
        roles.append(np.array([rows[file] for file in names], dtype=np.int64))
    return ReidSplit(name, number, *roles)


def _splits(path: Path) -> list[Any]:
    splits = read_json(path)
    if not isinstance(splits, list) or not splits:
        raise FgbenchError(f"{path} is not a list of splits as torchreid writes it")
    return splits


def _names(path: Path, number: int, split: Any, role: str) -> list[str]:
    """Return the names of the images of a role, without their folders."""
    try:
        # The paths may be those of Windows; PureWindowsPath also splits at forward slashes.
        return [PureWindowsPath(image).name for image, _, _ in split[role]]
    except (KeyError, TypeError, ValueError) as error:
        raise FgbenchError(
            f"{path}: {role} of split {number} is not a list of image, person and camera, as torchreid writes it"
        ) from error

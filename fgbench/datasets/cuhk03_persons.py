"""Persons, cameras and official test sets of CUHK03, from the names of its images."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fgbench.datasets.reid import ReidSplit
from fgbench.util.errors import FgbenchError

NAME_PATTERN = re.compile(r"([1-5])_(\d{3,4})_([12])_(\d{2})\.png")
"""Camera pair, person, camera and image, each from 1."""
MAX_PERSONS_PER_PAIR = 10_000
"""Identity = `MAX_PERSONS_PER_PAIR` x number of the camera pair + number of the person in this pair."""


def identities_of(path: Path, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return identity and camera of each image, from its name.

    Args:
        path: file or folder of the images, for the error message.
        files: names of the images.

    Raises:
        FgbenchError: a name has another form.
    """
    matches = [NAME_PATTERN.fullmatch(file) for file in files]
    for file, match in zip(files, matches, strict=True):
        if match is None:
            raise FgbenchError(f"{path}: the extracted image {file} has an unexpected name", "clear FGBENCH_CACHE")
    parts = np.array([[int(part) for part in match.groups()] for match in matches if match], dtype=np.int64)
    return parts[:, 0] * MAX_PERSONS_PER_PAIR + parts[:, 1], parts[:, 2]


def classic_split(path: Path, testset: Sequence[tuple[int, int]], number: int, identities: np.ndarray) -> ReidSplit:
    """Return a split from one of the official test sets; all other persons are for training.

    Args:
        path: file of the test sets, for the error message.
        testset: camera pair and person of each identity for test.
        number: number of the split, from 1.
        identities: (N,) identity of each image.

    Raises:
        FgbenchError: a person has no image or occurs twice.
    """
    persons = np.array([pair * MAX_PERSONS_PER_PAIR + person for pair, person in testset], dtype=np.int64)
    if unknown := sorted(set(persons.tolist()) - set(identities.tolist())):
        pair, person = divmod(unknown[0], MAX_PERSONS_PER_PAIR)
        raise FgbenchError(
            f"{path}: test set {number} contains person {person} of camera pair {pair}, who has no image"
        )
    if len(np.unique(persons)) != len(persons):
        raise FgbenchError(f"{path}: test set {number} contains a person twice")
    test = np.isin(identities, persons)
    return ReidSplit(str(number), number, np.flatnonzero(~test), np.flatnonzero(test), np.flatnonzero(test))

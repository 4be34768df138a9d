"""Splits that no run can use. They are known from the annotations, before an image is decoded."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fgbench.datasets.index import Index
from fgbench.datasets.reid import ReidIndex, ReidSplit
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError


def check_splits(index: Index | ReidIndex, folder: Path, tables: Mapping[str, str]) -> None:
    """Check that there are training and test images, two classes or persons, and training images of each class.

    Args:
        index: the data set.
        folder: folder of its annotations.
        tables: kind of annotation or count -> file that it is read from, for the messages.

    Raises:
        FgbenchError: something is missing.
    """
    if isinstance(index, Index):
        _check_classes(index, folder, tables)
        return
    for split in index.splits:
        for role in ("train", "query", "gallery"):
            if not len(getattr(split, role)):
                name = {"train": "training image", "query": "query", "gallery": "gallery image"}[role]
                raise FgbenchError(f"{folder / tables.get(role, '')}: split {split.name} has no {name}")
        if len(np.unique(index.identities[split.train])) < 2:
            raise FgbenchError(f"{folder / tables.get('train', '')}: split {split.name} has one person for training")


def _check_classes(index: Index, folder: Path, tables: Mapping[str, str]) -> None:
    """Check the split of a data set with classes."""
    for rows, kind, name in ((index.train, "train", "training"), (~index.train, "test", "test")):
        if not rows.any():
            raise FgbenchError(f"{folder / tables.get(kind, '')}: none of {counted(len(index), 'image')} is for {name}")
    if len(index.classes) < 2:
        raise FgbenchError(f"{folder / tables.get('classes', '')}: there is one class, {index.classes[0]!r}")
    trained = np.bincount(index.labels[index.train], minlength=len(index.classes))
    if len(untrained := np.flatnonzero(trained == 0)):
        name = index.classes[untrained[0]]
        raise FgbenchError(
            f"{folder / tables.get('train', '')}: the class {name!r} has no training image "
            f"({counted(len(untrained), 'such class', 'such classes')})"
        )


def check_matches(index: ReidIndex, split: ReidSplit) -> None:
    """Check that some query has an image of the same person by another camera in the gallery.

    Single queries without one exist in official data; `fgbench data check` lists them.

    Raises:
        FgbenchError: no query has one.
    """
    if len(index.unmatched(split)) < len(split.query):
        return
    cameras = np.unique(index.cameras[np.concatenate([split.query, split.gallery])])
    reason = (
        f"all test images of split {split.name} are from camera {cameras[0]}"
        if len(cameras) == 1
        else f"no query of split {split.name} has an image of the same person by another camera in the gallery"
    )
    raise FgbenchError(f"{index.root}: {reason}; a search needs images by two cameras")

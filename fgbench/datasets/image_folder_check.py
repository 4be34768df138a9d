"""Findings about a folder with images of the user that the check of an official data set does not have.

Each finding is (kind, file, what), as in `fgbench.datasets.check.FileProblem`.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from PIL import ExifTags, Image

from fgbench.datasets.image_folder import files_below, has_split_file, is_image
from fgbench.datasets.image_hash import hash_files
from fgbench.datasets.index import Index
from fgbench.datasets.split_file import SPLIT_FILE, SPLITS
from fgbench.util.counted import counted

Finding = tuple[str, str, str]
"""Kind, path relative to the folder, and the finding in a few words."""


def own_findings(index: Index, present: Sequence[str]) -> tuple[list[Finding], list[Finding]]:
    """Return the problems and the notes about a folder: copies of images, files that are not used, classes.

    Args:
        index: the data set.
        present: its files that exist.
    """
    same = _copies(index, present)
    unplaced, unused = _not_used(index)
    problems = [finding for finding in same if finding[0] != "duplicate"] + unplaced
    untested = sorted(set(range(len(index.classes))) - set(index.labels[~index.train].tolist()))
    notes = [("class", index.classes[label], "no test image of this class") for label in untested]
    return problems, [finding for finding in same if finding[0] == "duplicate"] + unused + notes


def reading_note(image: Image.Image) -> str:
    """Return in which way a method sees an image differently than a viewer shows it; empty if it does not."""
    with suppress(Exception):  # damaged EXIF data can raise any error, and change no pixel
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            return "its EXIF orientation is not applied: a viewer shows it rotated or mirrored"
    if image.mode.startswith(("I", "F")):
        return "more than 8 bits a channel: values above 255 are read as 255"
    if image.has_transparency_data:
        return "transparency is ignored"
    return ""


def class_counts(index: Index) -> dict[str, dict[str, int]]:
    """Return the numbers of training and test images of each class."""
    train, test = (
        np.bincount(index.labels[rows], minlength=len(index.classes)) for rows in (index.train, ~index.train)
    )
    return {name: {"train": int(a), "test": int(b)} for name, a, b in zip(index.classes, train, test, strict=True)}


def leaked(index: Index) -> int:
    """Return the number of test images whose bytes are those of a training image.

    Raises:
        FgbenchError: an image is missing.
    """
    _ = index.image_hash  # names a missing image; the hashes below are then in the cache
    digests = hash_files(index.root, index.files)
    train = {digests[file] for file, trained in zip(index.files, index.train, strict=True) if trained}
    return sum(digests[file] in train for file, trained in zip(index.files, index.train, strict=True) if not trained)


def _copies(index: Index, present: Sequence[str]) -> list[Finding]:
    """Return a finding for each image whose bytes are those of an earlier one: `leak`, `label` or `duplicate`.

    A test image is compared with a training image if there is one.
    """
    digests = hash_files(index.root, tuple(present))
    groups: dict[str, list[int]] = defaultdict(list)
    for row in sorted(range(len(index)), key=lambda row: not index.train[row]):
        if index.files[row] in digests:
            groups[digests[index.files[row]]].append(row)
    return [_copy(index, row, group[0]) for group in groups.values() for row in group[1:]]


def _copy(index: Index, row: int, first: int) -> Finding:
    file, other = index.files[row], index.files[first]
    if index.train[first] and not index.train[row]:
        return "leak", file, f"a test image with the same bytes as the training image {other}"
    if index.labels[first] != index.labels[row]:
        return "label", file, f"same bytes as {other}, which has another class"
    return "duplicate", file, f"same bytes as {other}"


def _not_used(index: Index) -> tuple[list[Finding], list[Finding]]:
    """Return images in no class folder as problems, and other files that are not used as notes."""
    used = set(index.files)
    if has_split_file(index.root):
        files = [file for file in files_below(index.root) if is_image(file) and file not in used]
        return [], [("unused", file, f"not an image for training or test in {SPLIT_FILE}") for file in files]
    unplaced, unused = [], []
    for split in SPLITS:
        if not (index.root / split).is_dir():
            continue
        files = [f"{split}/{file}" for file in files_below(index.root / split)]
        if split == "val" and used.isdisjoint(files):
            if images := sum(map(is_image, files)):
                text = f"{counted(images, 'image')} not used, because there are test images"
                unused.append(("unused", split, text))
            continue
        for file in files:
            if file in used:
                continue
            if is_image(file):
                unplaced.append(("extra", file, "an image in no class folder: it is not used"))
            else:
                unused.append(("unused", file, "not an image, by its name"))
    return unplaced, unused

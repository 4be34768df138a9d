"""Findings about a folder with images of the user that the check of an official data set does not have.

Each finding is (kind, file, what), as in `fgbench.datasets.check.FileProblem`.
"""

import numpy as np

from fgbench.datasets.duplicates import Finding
from fgbench.datasets.image_folder import files_below, has_split_file, is_image
from fgbench.datasets.image_hash import hash_files
from fgbench.datasets.index import Index
from fgbench.datasets.split_file import SPLIT_FILE, SPLITS
from fgbench.util.counted import counted


def own_findings(index: Index) -> tuple[list[Finding], list[Finding]]:
    """Return the problems and the notes about a folder: files that are not used, and classes."""
    problems, unused = _not_used(index)
    untested = sorted(set(range(len(index.classes))) - set(index.labels[~index.train].tolist()))
    return problems, [*unused, *(("class", index.classes[label], "no test image of this class") for label in untested)]


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

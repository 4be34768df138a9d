"""Groups of images with equal bytes, those that are in both training and test first.

Each finding is (kind, file, what), as in `fgbench.datasets.check.FileProblem`.
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from fgbench.datasets.index import Index
from fgbench.datasets.reid import JUNK, ReidIndex

Finding = tuple[str, str, str]
"""Kind, path relative to the folder, and the finding in a few words."""
KINDS = ("leak", "label", "duplicate")
"""Kinds of groups in their order: training and test have the image; it has two classes or persons; neither."""


def copies(index: Index | ReidIndex, digests: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each group of images with equal bytes, which names all of them.

    Args:
        index: the data set.
        digests: file -> hash of its bytes. Other files are left out.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for row, file in enumerate(index.files):
        if file in digests:
            groups[digests[file]].append(row)
    found = [
        _of_group(index, group) if isinstance(index, Index) else _of_persons(index, group)
        for group in groups.values()
        if len(group) > 1
    ]
    return sorted(found, key=lambda finding: KINDS.index(finding[0]))


def _of_group(index: Index, group: list[int]) -> Finding:
    """Return the finding about a group of images for classification; a test image is first."""
    group = sorted(group, key=lambda row: bool(index.train[row]))
    kind = "label" if len(set(index.labels[group].tolist())) > 1 else "duplicate"
    if len(set(index.train[group].tolist())) > 1:
        kind = "leak"
    split = ["training" if index.train[row] else "test" for row in group]
    members = [f"{index.files[row]} ({split[k]}, {index.classes[index.labels[row]]})" for k, row in enumerate(group)]
    first = f"this {split[0]} image of {index.classes[index.labels[group[0]]]}"
    return kind, index.files[group[0]], f"{first} has the same bytes as {', '.join(members[1:])}"


def _of_persons(index: ReidIndex, group: list[int]) -> Finding:
    """Return the finding about a group of images of persons."""
    persons = set(index.identities[group].tolist()) - {JUNK}
    kind, splits = "label" if len(persons) > 1 else "duplicate", ""
    leaking = [split.name for split in index.splits if _leaks(np.array(group), split.train, split.query, split.gallery)]
    if leaking:
        kind, splits = "leak", f"in training and test of split {', '.join(leaking)}: "
    members = [f"{index.files[row]} (person {index.identities[row]}, camera {index.cameras[row]})" for row in group]
    return kind, index.files[group[0]], f"{splits}the same bytes as {', '.join(members[1:])}"


def _leaks(group: np.ndarray, train: np.ndarray, *test: np.ndarray) -> bool:
    """Return True if a group has rows of the training and of a part of the test."""
    return bool(np.isin(group, train).any() and any(np.isin(group, part).any() for part in test))

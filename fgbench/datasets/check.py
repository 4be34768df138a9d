"""Check of a data set: decode every image and compare every annotation with the official one."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fgbench.datasets.duplicates import copies
from fgbench.datasets.image_damage import constant_rows
from fgbench.datasets.image_folder import PREFIX
from fgbench.datasets.image_folder_check import own_findings
from fgbench.datasets.image_hash import hash_files
from fgbench.datasets.image_modes import reading_note
from fgbench.datasets.image_reading import ImageError, decoded_image
from fgbench.datasets.index import Index
from fgbench.datasets.reid import ReidIndex, is_image_name
from fgbench.util.folders import is_of_system
from fgbench.util.placeholders import placeholder

COUNT_NAMES = {
    "images": "images",
    "train": "training images",
    "test": "test images",
    "classes": "classes",
    "query": "queries",
    "gallery": "gallery images",
    "junk": "junk images",
    "train_identities": "persons for training",
    "test_identities": "persons for test",
    "cameras": "cameras",
    "splits": "splits",
}
"""Key of the `counts` of an index -> its name in messages."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A problem or a note about one file."""

    kind: str
    """`missing`, `corrupt`, `extra` or `annotation` for a problem; `grey`, `reading`, `constant`, `format`, `leak`,
    `label`, `duplicate`, `outside`, `unmatched`, `absent` or `unverified` for a note. Of images of the user, `leak` and
    `label` are problems, and `unused` and `class` are further notes."""
    file: str
    """Path of the file relative to the data set's folder; for `unverified`, the word annotations."""
    what: str
    """The problem in a few words."""


@dataclass(slots=True)
class CheckResult:
    """Result of the check of a data set."""

    images: int
    """Number of images in the annotations."""
    problems: list[FileProblem] = field(default_factory=list)
    """Problems that stop a run or make its values wrong."""
    notes: list[FileProblem] = field(default_factory=list)
    """Differences that change no value, or that a record lists as deviations."""


def check(
    index: Index | ReidIndex,
    official: dict[str, str] | None = None,
    tables: dict[str, str] | None = None,
    counts: dict[str, int] | None = None,
    on_image: Callable[[], object] = lambda: None,
) -> CheckResult:
    """Decode every image of a data set and compare its annotations with the official hashes and counts.

    Args:
        index: the data set.
        official: kind of annotation -> official hash, as in `index.annotation_hashes`. None to skip.
        tables: kind of annotation or count -> file that it is read from, for the messages.
        counts: official values of `index.counts`. None to skip.
        on_image: function called after each image, for a progress bar.
    """
    result, tables = CheckResult(images=len(index)), tables or {}

    # Annotations.
    for kind, expected in (official or {}).items():
        if kind not in index.annotation_hashes:
            what = f"missing: recipes that need {kind} cannot run"
            result.notes.append(FileProblem("absent", tables.get(kind, kind), what))
        elif index.annotation_hashes[kind] != expected:
            split = _split_counts(index) if isinstance(index, Index) and kind == "split" else ""
            what = split or "differs from the official file"
            result.problems.append(FileProblem("annotation", tables.get(kind, kind), what))
    for kind, number in (counts or {}).items():
        if index.counts[kind] != number:
            what = f"{index.counts[kind]} {COUNT_NAMES[kind]}, but the official data have {number}"
            result.problems.append(FileProblem("annotation", tables.get(kind, kind), what))

    if counts and not official:
        what = "not verified: no hash of the official files is known, only the counts were compared"
        result.notes.append(FileProblem("unverified", "annotations", what))

    # Files that exist on one side only.
    present = [file for file in index.files if index.path(file).is_file()]
    missing = sorted(set(index.files) - set(present))
    for file in missing:
        result.problems.append(FileProblem("missing", file, _why_missing(index.path(file))))
    is_own = index.name.startswith(PREFIX)
    if isinstance(index, Index) and is_own:
        problems, notes = ([FileProblem(*finding) for finding in of_kind] for of_kind in own_findings(index))
    else:
        problems = [FileProblem("extra", file, "on disk, but not in the annotations") for file in _extra(index)]
        notes = []
    result.problems += problems

    # Content of the images.
    sizes: dict[str, tuple[int, int]] = {}
    with ThreadPoolExecutor() as pool:
        for file, (size, findings) in zip(present, pool.map(lambda file: _decode(index, file), present), strict=True):
            on_image()
            sizes[file] = size
            for finding in findings:
                (result.problems if finding.kind == "corrupt" else result.notes).append(finding)

    # Copies of readable images. Users can remove copies from their folders; official data sets are used as they are.
    readable = {file: index.stored.get(file, file) for file in present if any(sizes[file])}
    digests = hash_files(index.root, tuple(readable.values()))
    for copy in copies(index, {file: digests[place] for file, place in readable.items()}):
        (result.problems if is_own and copy[0] != "duplicate" else result.notes).append(FileProblem(*copy))
    result.notes += notes
    result.notes += _unmatched(index) if isinstance(index, ReidIndex) else _outside(index, sizes)
    return result


def _why_missing(path: Path) -> str:
    """Return what is in the place of an image that is not a file."""
    if found := placeholder(path):
        return f"{found[0]}, not the file itself: {found[1]}"
    is_there = os.path.lexists(path)
    return "not a regular file, or a link to nothing" if is_there else "in the annotations, but not on disk"


def _split_counts(index: Index) -> str:
    counts = index.counts
    return f"differs from the official split: {counts['train']} training images and {counts['test']} test images"


def _extra(index: Index | ReidIndex) -> list[str]:
    """Images in the folders of the data set that the index does not contain."""
    known = {index.stored.get(file, file) for file in index.files}
    folders = sorted({file.split("/")[0] for file in known})
    paths = [path.relative_to(index.root) for folder in folders for path in (index.root / folder).rglob("*")]
    images = [path for path in paths if is_image_name(path.name) and not any(map(is_of_system, path.parts))]
    return sorted(name for path in images if (name := path.as_posix()) not in known)


def _decode(index: Index | ReidIndex, file: str) -> tuple[tuple[int, int], list[FileProblem]]:
    """Decode an image.

    Args:
        index: the data set.
        file: path of the image relative to its folder.

    Returns:
        Width and height in pixels, 0 x 0 if the image cannot be decoded; and problems and notes about the image.
    """
    try:
        with decoded_image(index.path(file)) as image:
            stored, size = image.stored, image.stored.size
            notes = {
                "reading": reading_note(stored),
                "constant": constant_rows(np.asarray(stored), stored.format or ""),
            }
    except ImageError as error:
        return (0, 0), [FileProblem("corrupt", file, error.reason)]
    if stored.mode in {"L", "1", "LA"}:
        notes["grey"] = "grey image; read as three equal channels"
    if stored.format != "JPEG" and not index.name.startswith(PREFIX) and file.lower().endswith((".jpg", ".jpeg")):
        notes["format"] = f"named .jpg, but the format is {stored.format}: not the official file"
    return size, [FileProblem(kind, file, what) for kind, what in notes.items() if what]


def _outside(index: Index, sizes: dict[str, tuple[int, int]]) -> list[FileProblem]:
    """Find visible keypoints outside their image, and boxes that extend over the border by more than 1 px."""
    problems = []
    for row, file in enumerate(index.files):
        limit = np.array(sizes.get(file, (0, 0)), dtype=float)
        if not limit.any():
            continue
        if index.parts is not None:
            visible = index.parts[row][index.parts[row][:, 2] > 0, :2]
            if ((visible < 0) | (visible > limit)).any():
                problems.append(FileProblem("outside", file, "a visible keypoint is outside the image"))
        if index.boxes is not None:
            corner, extent = index.boxes[row][:2], index.boxes[row][2:]
            if (corner < -1).any() or (corner + extent > limit + 1).any():
                problems.append(FileProblem("outside", file, "the box extends over the border by more than 1 px"))
    return problems


def _unmatched(index: ReidIndex) -> list[FileProblem]:
    """Find queries, of any split, without an image of the same person by another camera in the gallery."""
    rows = sorted({int(row) for split in index.splits for row in index.unmatched(split)})
    what = "no other camera has this person in the gallery: the query is not evaluated"
    return [FileProblem("unmatched", index.files[row], what) for row in rows]

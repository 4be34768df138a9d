"""Is a data set whole? Every image decoded, every annotation held against the official one, each finding by name."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from fgbench.datasets.index import Index
from fgbench.datasets.reid import IMAGE_SUFFIXES, ReidIndex
from fgbench.util.hashing import hash_file

COUNTED = {
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


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in one file."""

    kind: str
    """`missing`, `corrupt`, `extra`, `annotation` (problems); `grey`, `format`, `duplicate`, `outside`,
    `unmatched` (notes)."""
    file: str
    """The file, relative to the data set's folder."""
    what: str
    """What is the matter, in a few words."""


@dataclass(slots=True)
class Health:
    """What a check found."""

    images: int
    """Images named by the annotations."""
    problems: list[Finding] = field(default_factory=list)
    """Findings for which a run would be refused or wrong."""
    notes: list[Finding] = field(default_factory=list)
    """Findings worth knowing: they change nothing, or are recorded as deviations."""


def check(
    index: Index | ReidIndex,
    official: dict[str, str] | None = None,
    tables: dict[str, str] | None = None,
    counts: dict[str, int] | None = None,
    on_image: Callable[[], object] = lambda: None,
) -> Health:
    """Decode every image of `index` and compare its annotations with the `official` hashes and counts.

    Args:
        index: the data set as read.
        official: hash of each kind of annotation as `annotation_hashes` of the index computes it; None to skip.
        tables: the file each kind of annotation stands in, for the findings.
        counts: what the `counts` of the index are for the official data; None to skip.
        on_image: called after each image, for a progress bar.
    """
    health, tables = Health(images=len(index)), tables or {}
    for kind, expected in (official or {}).items():
        if index.annotation_hashes.get(kind) != expected:
            split = _split_counts(index) if isinstance(index, Index) and kind == "split" else ""
            what = split or "differs from the official file"
            health.problems.append(Finding("annotation", tables.get(kind, kind), what))
    for kind, number in (counts or {}).items():
        if index.counts[kind] != number:
            what = f"{index.counts[kind]} {COUNTED[kind]}, the official data have {number}"
            health.problems.append(Finding("annotation", tables.get(kind, kind), what))
    present = [file for file in index.files if (index.root / file).is_file()]
    missing = sorted(set(index.files) - set(present))
    health.problems += [Finding("missing", file, "named in the annotations, not on disk") for file in missing]
    health.problems += [Finding("extra", file, "on disk, not in the annotations") for file in _extra(index)]
    sizes: dict[str, tuple[int, int]] = {}
    with ThreadPoolExecutor() as pool:
        for file, (size, finding) in zip(
            present, pool.map(lambda file: _decode(index.root, file, on_image), present), strict=True
        ):
            sizes[file] = size
            if finding:
                (health.problems if finding.kind == "corrupt" else health.notes).append(finding)
    health.notes += _duplicates(index.root, present)
    health.notes += _unmatched(index) if isinstance(index, ReidIndex) else _outside(index, sizes)
    return health


def _split_counts(index: Index) -> str:
    counts = index.counts
    return f"differs from the official split: {counts['train']} training and {counts['test']} test images"


def _extra(index: Index | ReidIndex) -> list[str]:
    known = set(index.files)
    folders = sorted({file.split("/")[0] for file in index.files})
    found = (p for folder in folders for p in (index.root / folder).rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(name for path in found if (name := path.relative_to(index.root).as_posix()) not in known)


def _decode(root: Path, file: str, on_image: Callable[[], object]) -> tuple[tuple[int, int], Finding | None]:
    """Size in pixels (0 x 0 when it cannot be read), and what is odd about the image."""
    try:
        with Image.open(root / file) as image:
            image.load()
            mode, kind, size = image.mode, image.format, image.size
    except UnidentifiedImageError:
        return (0, 0), Finding("corrupt", file, "not an image that Pillow can read")
    except (OSError, SyntaxError, ValueError) as error:
        return (0, 0), Finding("corrupt", file, f"does not decode: {error}")
    finally:
        on_image()
    if mode in {"L", "1", "LA"}:
        return size, Finding("grey", file, "grey; read as three equal channels")
    if kind != "JPEG" and file.lower().endswith((".jpg", ".jpeg")):
        return size, Finding("format", file, f"named .jpg, holds {kind}: not the official bytes")
    return size, None


def _duplicates(root: Path, files: Iterable[str]) -> list[Finding]:
    groups: dict[str, list[str]] = defaultdict(list)
    sizes: dict[int, list[str]] = defaultdict(list)
    for file in files:
        sizes[(root / file).stat().st_size].append(file)
    for group in sizes.values():
        if len(group) > 1:
            for file in group:
                groups[hash_file(root / file)].append(file)
    return [
        Finding("duplicate", group[1], f"the same bytes as {group[0]}") for group in groups.values() if len(group) > 1
    ]


def _outside(index: Index, sizes: dict[str, tuple[int, int]]) -> list[Finding]:
    """Visible keypoints outside their image, and boxes that leave it by more than a pixel."""
    findings = []
    for row, file in enumerate(index.files):
        limit = np.array(sizes.get(file, (0, 0)), dtype=float)
        if not limit.any():
            continue
        if index.parts is not None:
            visible = index.parts[row][index.parts[row][:, 2] > 0, :2]
            if ((visible < 0) | (visible > limit)).any():
                findings.append(Finding("outside", file, "a visible keypoint lies outside the image"))
        if index.boxes is not None:
            corner, extent = index.boxes[row][:2], index.boxes[row][2:]
            if (corner < -1).any() or (corner + extent > limit + 1).any():
                findings.append(Finding("outside", file, "the box leaves the image by more than a pixel"))
    return findings


def _unmatched(index: ReidIndex) -> list[Finding]:
    """Queries of any split whose person only their own camera shows in its gallery."""
    rows = sorted({int(row) for split in index.splits for row in index.unmatched(split)})
    what = "no other camera shows this person in the gallery: the query counts for nothing"
    return [Finding("unmatched", index.files[row], what) for row in rows]

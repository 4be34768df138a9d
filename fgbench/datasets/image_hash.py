"""Image files of any data set: their content as one hash, and what they begin with."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, write_atomic
from fgbench.util.hashing import hash_file, hash_value

JPEG_START = b"\xff\xd8\xff"


def hash_images(name: str, root: Path, files: tuple[str, ...]) -> str:
    """A hash of names and bytes of every image, in order. Unchanged files (path, size, time) are not read again.

    Args:
        name: the data set.
        root: the folder that the files are relative to.
        files: paths with forward slashes.

    Raises:
        FgbenchError: images are missing; names the first of them.
    """
    missing = [file for file in files if not (root / file).is_file()]
    if missing:
        raise FgbenchError(
            f"{len(missing)} of {len(files)} images of {name} are missing under {root}, the first is {missing[0]}",
            f"fgbench data check {name}",
        )
    digests = hash_files(root, files)
    return hash_value([[file, digests[file]] for file in files])


def count_not_jpeg(root: Path, files: tuple[str, ...]) -> int:
    """How many of the files do not begin as a JPEG file does."""

    def starts(file: str) -> bytes:
        with (root / file).open("rb") as image:
            return image.read(len(JPEG_START))

    with ThreadPoolExecutor() as pool:
        return sum(start != JPEG_START for start in pool.map(starts, files))


def hash_files(root: Path, files: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of each file, remembered by path, size and modification time."""
    place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    memory = cache_folder() / "hashes" / f"{place}.npz"
    known: dict[str, tuple[str, str]] = {}
    if memory.is_file():
        with np.load(memory) as stored:
            known = {f: (s, d) for f, s, d in zip(stored["files"], stored["stamps"], stored["digests"], strict=True)}

    def digest(file: str) -> tuple[str, str]:
        status = (root / file).stat()
        stamp = f"{status.st_size}:{status.st_mtime_ns}"
        remembered = known.get(file)
        return remembered if remembered and remembered[0] == stamp else (stamp, hash_file(root / file))

    with ThreadPoolExecutor() as pool:
        found = dict(zip(files, pool.map(digest, files), strict=True))
    if any(known.get(file) != entry for file, entry in found.items()):
        _remember(memory, known | found)
    return {file: entry[1] for file, entry in found.items()}


def _remember(memory: Path, entries: dict[str, tuple[str, str]]) -> None:
    columns = {
        "files": np.array(list(entries)),
        "stamps": np.array([stamp for stamp, _ in entries.values()]),
        "digests": np.array([digest for _, digest in entries.values()]),
    }
    write_atomic(memory, lambda path: np.savez_compressed(path, allow_pickle=False, **columns))

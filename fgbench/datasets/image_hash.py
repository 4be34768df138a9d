"""Hash and file type of the images of a data set."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, write_atomic
from fgbench.util.hashing import hash_file, hash_value

JPEG_START = b"\xff\xd8\xff"
"""First bytes of every JPEG file."""


def hash_images(name: str, root: Path, files: tuple[str, ...]) -> str:
    """Return one hash of names and bytes of all images, in order.

    Args:
        name: name of the data set, for the error message.
        root: folder of the data set.
        files: paths relative to `root`, with forward slashes.

    Raises:
        FgbenchError: an image is missing.
    """
    missing = [file for file in files if not (root / file).is_file()]
    if missing:
        raise FgbenchError(
            f"{len(missing)} of {len(files)} images of {name} are missing in {root}; the first is {missing[0]}",
            f"fgbench data check {name}",
        )
    digests = hash_files(root, files)
    return hash_value([[file, digests[file]] for file in files])


def count_not_jpeg(root: Path, files: tuple[str, ...]) -> int:
    """Return the number of files that do not begin like a JPEG file."""

    def read_start(file: str) -> bytes:
        with (root / file).open("rb") as image:
            return image.read(len(JPEG_START))

    with ThreadPoolExecutor() as pool:
        return sum(start != JPEG_START for start in pool.map(read_start, files))


def hash_files(root: Path, files: tuple[str, ...]) -> dict[str, str]:
    """Return the SHA-256 of each file in hex.

    Hashes are kept in the cache. A file with unchanged path, size and modification time is not read again.

    Args:
        root: folder of the data set.
        files: paths relative to `root`, with forward slashes.
    """
    root_hash = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    store = cache_folder() / "hashes" / f"{root_hash}.npz"
    known: dict[str, tuple[str, str]] = {}  # file -> (size and time, hash)
    if store.is_file():
        with np.load(store) as stored:
            known = {f: (s, d) for f, s, d in zip(stored["files"], stored["stamps"], stored["digests"], strict=True)}

    def digest(file: str) -> tuple[str, str]:
        status = (root / file).stat()
        stamp = f"{status.st_size}:{status.st_mtime_ns}"
        entry = known.get(file)
        return entry if entry and entry[0] == stamp else (stamp, hash_file(root / file))

    with ThreadPoolExecutor() as pool:
        current = dict(zip(files, pool.map(digest, files), strict=True))
    if any(known.get(file) != entry for file, entry in current.items()):
        _write_hashes(store, known | current)
    return {file: entry[1] for file, entry in current.items()}


def _write_hashes(store: Path, entries: dict[str, tuple[str, str]]) -> None:
    """Write hashes of files into the cache."""
    columns = {
        "files": np.array(list(entries)),
        "stamps": np.array([stamp for stamp, _ in entries.values()]),
        "digests": np.array([digest for _, digest in entries.values()]),
    }
    write_atomic(store, lambda path: np.savez_compressed(path, allow_pickle=False, **columns))

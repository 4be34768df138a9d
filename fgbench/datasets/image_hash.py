"""Hash and file type of the images of a data set."""

import hashlib
import random
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

from fgbench.datasets.misplaced import mending_move
from fgbench.util.damaged import is_present, read_npz, set_aside, tell
from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS, cache_folder, remove_leftovers, write_atomic
from fgbench.util.hashing import hash_file, hash_value, stamp_of

COLUMNS = ("files", "stamps", "digests")
"""Arrays of a file with hashes."""
SAMPLE = 64
"""Number of images whose remembered hashes are compared with their content each time."""
JPEG_START = b"\xff\xd8\xff"
"""First bytes of every JPEG file."""


def hash_images(name: str, root: Path, files: tuple[str, ...], stored: Mapping[str, str]) -> str:
    """Return one hash of names and bytes of all images, in order.

    Args:
        name: name of the data set, for the error message.
        root: folder of the data set.
        files: official paths relative to `root`, with forward slashes.
        stored: official path -> path on disk, for files that lie elsewhere.

    Raises:
        FgbenchError: an image is missing.
    """
    places = tuple(stored.get(file, file) for file in files)
    missing = [place for place in places if not (root / place).is_file()]
    if missing:
        folders = sorted({place.partition("/")[0] for place in missing})
        absent = not any((root / folder).exists() for folder in folders)
        raise FgbenchError(
            f"{len(missing)} of {len(files)} images of {name} are missing in {root}; the first is {missing[0]}",
            (mending_move(root, folders) if absent else "") or f"fgbench data check {shlex.quote(name)}",
        )
    digests = hash_files(root, places)
    return hash_value([[file, digests[place]] for file, place in zip(files, places, strict=True)])


def count_not_jpeg(files: Sequence[Path]) -> int:
    """Return the number of files that do not begin like a JPEG file."""

    def read_start(file: Path) -> bytes:
        with file.open("rb") as image:
            return image.read(len(JPEG_START))

    with ThreadPoolExecutor() as pool:
        return sum(start != JPEG_START for start in pool.map(read_start, files))


def hash_files(root: Path, files: tuple[str, ...]) -> dict[str, str]:
    """Return the SHA-256 of each file in hex.

    Hashes are kept in the cache. A file with an unchanged path and `stamp_of` is not read again, except for a random
    sample of `SAMPLE` files. If one of these has another hash, the user is told, and all files are read again. If the
    cache cannot be written, all files are read each time.

    Args:
        root: folder of the data set.
        files: paths relative to `root`, with forward slashes.
    """
    root_hash = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    store = cache_folder() / "hashes" / f"{root_hash}.npz"
    known = _read_hashes(store)
    with ThreadPoolExecutor() as pool:
        stamps = dict(zip(files, pool.map(lambda file: stamp_of(root / file), files), strict=True))
        same = [file for file in files if file in known and known[file][0] == stamps[file]]
        sample = random.Random().sample(same, min(SAMPLE, len(same)))  # not the global generator, which runs seed
        again = zip(sample, pool.map(lambda file: hash_file(root / file), sample), strict=True)
        if changed := next((file for file, sha256 in again if sha256 != known[file][1]), ""):
            what = "has other content than before, with the same size and times: all images are read again"
            tell(f"{root / changed} {what}.")
            same = []
        unread = sorted({*files}.difference(same))
        digests = dict(zip(unread, pool.map(lambda file: hash_file(root / file), unread), strict=True))
    current = {file: (stamps[file], digests[file] if file in digests else known[file][1]) for file in files}
    if any(known.get(file) != entry for file, entry in current.items()):
        with suppress(FgbenchError):  # a cache that cannot be written
            _write_hashes(store, known | current)
    return {file: entry[1] for file, entry in current.items()}


def _read_hashes(store: Path) -> dict[str, tuple[str, str]]:
    """Return the hashes in the cache: file -> (stamp, hash). A damaged file is set aside."""
    with suppress(FgbenchError):  # it cannot be set aside
        if is_present(store):
            try:
                arrays = read_npz(store)
                files, stamps, digests = (arrays[name].tolist() for name in COLUMNS)
                return dict(zip(files, zip(stamps, digests, strict=True), strict=True))
            except DAMAGED_ARRAYS as error:
                set_aside(store, f"it cannot be read: {error}")
    return {}


def _write_hashes(store: Path, entries: dict[str, tuple[str, str]]) -> None:
    """Write hashes of files into the cache."""
    remove_leftovers(store.parent)
    rows = [(file, stamp, digest) for file, (stamp, digest) in entries.items()]
    columns = {name: np.array(column) for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
    write_atomic(store, lambda path: np.savez_compressed(path, allow_pickle=False, **columns))

"""Content hashes of JSON values in canonical form and of files."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

ID_LENGTH = 16
SAMPLE_BLOCKS, SAMPLE_BLOCK = 64, 1 << 16
"""Number and bytes of the blocks that `sample_file` reads."""


def canonical(value: Any) -> str:
    """Return `value` as JSON with sorted keys and without spaces: equal values give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_value(value: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 of `value` in canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:ID_LENGTH]


def stamp_of(path: Path) -> str:
    """Return a text that changes when a file is written again: size, time of writing, inode, time of the inode.

    It costs no read of the file. The time of the inode also changes when a program resets the time of writing; on
    Windows it is the time at which the file was made. A byte that the disk itself changes is not seen, nor is a second
    write within one tick of the system's clock. What is remembered by this text is therefore compared with a sample of
    the content (`sample_file`).

    Raises:
        OSError: there is no such file.
    """
    return stamp_of_status(path.stat())


def stamp_of_status(status: os.stat_result) -> str:
    """Return the stamp of a file (`stamp_of`) from its status."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}:{status.st_ctime_ns}"


def hash_texts(*parts: object) -> str:
    """Return the first 32 hex digits of the SHA-256 of some values as text, such as a row of a table."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode(errors="surrogatepass")).hexdigest()[: 2 * ID_LENGTH]


def sample_file(path: Path) -> str:
    """Return the first 16 hex digits of the SHA-256 of blocks of a file: whole up to 4 MiB, else 64 blocks of 64 KiB.

    The blocks are evenly spaced from the first byte to the last.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        step = max(SAMPLE_BLOCK, (size - SAMPLE_BLOCK) / (SAMPLE_BLOCKS - 1))
        for number in range(SAMPLE_BLOCKS):
            file.seek(round(number * step))
            digest.update(file.read(SAMPLE_BLOCK))
    return digest.hexdigest()[:ID_LENGTH]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex; the file is read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Arrays on disk that are filled batch by batch, with a checksum for each batch; an interrupted file is continued."""

import os
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike

from fgbench.util.damaged import is_present, read_checked_json, set_aside, tell, try_checked_json, write_checked_json
from fgbench.util.files import DAMAGED_ARRAYS, storage_error

BLOCK = 1 << 20
"""Bytes that are read at a time to verify a checksum."""


class CheckedRows:
    """A (rows, ...) array on disk that is filled from the first row. A second file holds the checksums.

    What an earlier program wrote is verified when this object is created: by CRC-32, about one second for each
    gigabyte, or as fast as the disk. The rows from the first damaged batch on have to be appended again.

    Args:
        path: file of the array.
        rows: number of rows.
        dtype: type of the elements.
        sums: file of the checksums; by default the name of `path` with the suffix `.json`.

    Raises:
        FgbenchError: a damaged file cannot be set aside.
    """

    def __init__(self, path: Path, rows: int, dtype: DTypeLike = np.float32, sums: Path | None = None) -> None:
        self.path, self.rows, self._dtype = path, rows, np.dtype(dtype)
        self._sums = path.with_suffix(".json") if sums is None else sums
        self._header: list[int] = []
        self._batches: list[list[int]] = []  # number of rows and checksum of each batch
        stored = read_checked_json(self._sums)
        if not is_present(path) or stored is None:
            return
        reason, self._batches = _intact_batches(path, rows, stored)
        self._header = stored["header"]
        if reason and self._batches:
            tell(f"{path} is damaged ({reason}). Its rows from {self.done} on are computed again.")
        elif reason:
            set_aside(path, reason)

    @property
    def done(self) -> int:
        """Number of intact rows."""
        return sum(count for count, _ in self._batches)

    @property
    def ends(self) -> set[int]:
        """Numbers of rows after which a batch ends, and 0."""
        return {0, *np.cumsum([count for count, _ in self._batches], dtype=int).tolist()}

    def keep(self, rows: int) -> None:
        """Forget the batches after a number of rows, which is in `ends`."""
        while self.done > rows:
            self._batches.pop()

    def append(self, values: np.ndarray) -> None:
        """Write the next rows (B, ...) to the disk, then their checksum.

        Ordinary writes are used: on a full disk, a write to mapped memory would end the program with a signal.

        Raises:
            FgbenchError: the disk is full, or the folder cannot be written.
        """
        content = np.ascontiguousarray(values, self._dtype)
        try:
            if not self.done:
                self._create(content.shape[1:])
            with self.path.open("r+b") as file:
                file.seek((self.done - self.rows) * content[0].nbytes, os.SEEK_END)
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(error, self.path) from error
        self._batches.append([len(content), zlib.crc32(content.data)])
        write_checked_json(self._sums, {"rows": self.rows, "header": self._header, "batches": self._batches})

    def read(self) -> np.ndarray:
        """Return all rows, memory-mapped and read-only."""
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]

    def _create(self, shape: tuple[int, ...]) -> None:
        """Create a sparse file of the full size."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)  # another program may have mapped the old file
        array = np.lib.format.open_memmap(self.path, mode="w+", dtype=self._dtype, shape=(self.rows, *shape))
        with self.path.open("rb") as file:
            self._header = [array.offset, zlib.crc32(file.read(array.offset))]


def are_complete(path: Path, rows: int, sums: Path) -> bool:
    """Return True if a file of `CheckedRows` has all its rows and all are intact. Nothing is changed or reported."""
    stored, _ = try_checked_json(sums)
    if stored is None or not path.is_file():
        return False
    reason, batches = _intact_batches(path, rows, stored)
    return not reason and sum(count for count, _ in batches) == rows


def _intact_batches(path: Path, rows: int, stored: dict[str, Any]) -> tuple[str, list[list[int]]]:
    """Return what is wrong with a file, or an empty string, and the batches before the damage."""
    intact: list[list[int]] = []
    try:
        with path.open("rb") as file:
            offset, checksum = stored["header"]
            if stored["rows"] != rows or _crc32(file, offset) != checksum:
                return "its header is wrong", []
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            size = array.nbytes // rows
            if path.stat().st_size != offset + array.nbytes:
                return "its length is wrong", []
            for count, checksum in stored["batches"]:
                if _crc32(file, count * size) != checksum:
                    return "the checksum of some rows is wrong", intact
                intact.append([count, checksum])
    except DAMAGED_ARRAYS as error:
        return f"it cannot be read: {error}", intact
    return "", intact


def _crc32(file: IO[bytes], length: int) -> int | None:
    """Return the checksum of the next bytes of a file; None if there are fewer."""
    checksum = 0
    while length:
        block = file.read(min(BLOCK, length))
        if not block:
            return None
        checksum, length = zlib.crc32(block, checksum), length - len(block)
    return checksum

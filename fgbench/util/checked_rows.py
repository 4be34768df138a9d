"""Arrays on disk that are filled batch by batch, with a checksum for each batch; an interrupted file is continued."""

import os
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import DTypeLike

from fgbench.util.damaged import is_present, read_checked_json, set_aside, tell, try_checked_json, write_checked_json
from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS, storage_error

BLOCK = 1 << 20
"""Bytes that are read at a time to verify a checksum."""
FLUSH_S = 5.0
"""Seconds after which the next `append` flushes."""
FLUSH_BYTES = 256 << 20
"""Bytes of appended rows that `append` flushes at once."""


class CheckedRows:
    """A (rows, ...) array on disk that is filled from the first row. A second file holds the checksums.

    The file of the checksums never contains a row that may not be on the disk: `flush` waits for the disk, then writes
    the checksums. A killed program loses the rows since the last flush. In a `with` block, the end of the block and an
    exception in it also flush.

    What an earlier program wrote is verified when this object is created: by CRC-32, about one second for each
    gigabyte, or as fast as the disk. The rows from the first damaged batch on have to be appended again.

    Args:
        path: file of the array.
        rows: number of rows.
        dtype: type of the elements.
        sums: file of the checksums; by default the name of `path` with the suffix `.json`.

    Raises:
        FgbenchError: the folder of a damaged file cannot be written.
    """

    def __init__(self, path: Path, rows: int, dtype: DTypeLike = np.float32, sums: Path | None = None) -> None:
        self.path, self.rows, self._dtype = path, rows, np.dtype(dtype)
        self._sums = path.with_suffix(".json") if sums is None else sums
        self._header: list[int] = []
        self._batches: list[list[int]] = []  # number of rows and checksum of each batch
        self._flushed = 0  # number of batches that are on the disk
        self._pending_bytes, self._flushed_at = 0, time.monotonic()
        stored = read_checked_json(self._sums)
        if not is_present(path) or stored is None:
            return
        reason, self._batches = _intact_batches(path, rows, stored)
        self._header, self._flushed = stored["header"], len(self._batches)
        if reason and self._batches:
            tell(f"{path} is damaged ({reason}). Its rows from {self.done} on are computed again.")
            self._write_sums()
        elif reason:
            set_aside(path, reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.flush()
        else:
            with suppress(FgbenchError):  # the first error counts
                self.flush()

    @property
    def done(self) -> int:
        """Number of intact rows, those that are not yet flushed included."""
        return sum(count for count, _ in self._batches)

    @property
    def ends(self) -> set[int]:
        """Numbers of rows after which a batch ends, and 0."""
        return {0, *np.cumsum([count for count, _ in self._batches], dtype=int).tolist()}

    def keep(self, rows: int) -> None:
        """Forget the batches after a number of rows, which is in `ends`, also in the file of the checksums."""
        if self.done > rows:
            self.flush()
            while self.done > rows:
                self._batches.pop()
            self._write_sums()

    def append(self, values: np.ndarray) -> None:
        """Write the next rows (B, ...), and flush if the last flush was `FLUSH_S` or `FLUSH_BYTES` ago.

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
        except OSError as error:
            raise storage_error(error, self.path) from error
        self._batches.append([len(content), zlib.crc32(content.data)])
        self._pending_bytes += content.nbytes
        if self._pending_bytes >= FLUSH_BYTES or time.monotonic() - self._flushed_at >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Wait until all rows are on the disk, then write their checksums. Nothing happens without new rows.

        Raises:
            FgbenchError: the disk is full, or the folder cannot be written. If the rows could not be written, those
                since the last flush are lost.
        """
        if self._flushed == len(self._batches):
            return
        try:
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())
        except OSError as error:
            # A second call of fsync may succeed although the rows are lost.
            del self._batches[self._flushed :]
            raise storage_error(error, self.path) from error
        self._write_sums()
        self._pending_bytes, self._flushed_at = 0, time.monotonic()

    def _write_sums(self) -> None:
        """Write the checksums of all batches, whose rows are on the disk."""
        write_checked_json(self._sums, {"rows": self.rows, "header": self._header, "batches": self._batches})
        self._flushed = len(self._batches)

    def read(self) -> np.ndarray:
        """Return all rows, memory-mapped and read-only."""
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]

    def _create(self, shape: tuple[int, ...]) -> None:
        """Create a sparse file of the full size."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._sums.unlink(missing_ok=True)  # it describes the old file
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

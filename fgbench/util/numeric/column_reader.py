"""Columns of an array in a file that is larger than memory."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from fgbench.util.errors import FgbenchError
from fgbench.util.memory import unmap_pages

READERS = 8
"""Number of simultaneous reads. They wait for the disk and need no processor."""


def read_columns(array: np.ndarray, columns: slice, out: np.ndarray) -> None:
    """Read some columns of an array; from a mapped file, only the bytes of these columns.

    Access to a mapped page makes the system read up to megabytes around it. For narrow columns of a wide array this is
    the whole file for each call.

    Args:
        array: Array (N, D).
        columns: Slice of W columns with a start and a stop.
        out: Array (N, W), C-contiguous, for the result. If its type differs from that of `array`, the columns are read
            through the mapping and cast.

    Raises:
        FgbenchError: The file is shorter than the array.
    """
    if not _is_whole_file(array) or array.dtype != out.dtype:
        out[:] = array[:, columns]
        unmap_pages(array)
        return
    width = array.strides[0]
    start = array.offset + columns.start * array.itemsize
    with Path(str(array.filename)).open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

        def read(first: int) -> bool:
            """Read every `READERS`-th row; return False if the file ends before the row does."""
            return all(
                os.preadv(file.fileno(), [out[row]], start + row * width) == out[row].nbytes
                for row in range(first, len(out), READERS)
            )

        with ThreadPoolExecutor(READERS) as pool:
            if not all(pool.map(read, range(READERS))):
                raise FgbenchError(f"{array.filename} is shorter than it was")


def _is_whole_file(array: np.ndarray) -> TypeGuard[np.memmap[Any, Any]]:
    """True for an array that `numpy.load` maps read-only from a file, if the system can read at an offset."""
    return (
        isinstance(array, np.memmap)
        and not isinstance(array.base, np.ndarray)
        and array.mode == "r"
        and array.flags.c_contiguous
        and hasattr(os, "preadv")
    )

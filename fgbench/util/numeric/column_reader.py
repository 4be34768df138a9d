"""Parts of arrays that lie in files larger than memory, read without what lies around them."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from fgbench.util.errors import FgbenchError
from fgbench.util.memory import unmap_pages

READERS = 8
"""Reads under way at once: a disk is waited for, not worked at."""


def read_columns(array: np.ndarray, columns: slice, out: np.ndarray) -> None:
    """Read some columns of an array, of a mapped file just their bytes.

    A part of a mapping that is touched makes the system read what lies around it, up to megabytes, and for a wide array
    read in narrow columns that is the whole file again and again.

    Args:
        array: (N, D).
        columns: with a start and a stop, W columns.
        out: (N, W), C-contiguous; of another type than the array, the mapping is read, and cast.

    Raises:
        FgbenchError: the file is shorter than it was.
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
            """Every so many rows; false where one ends too soon."""
            return all(
                os.preadv(file.fileno(), [out[row]], start + row * width) == out[row].nbytes
                for row in range(first, len(out), READERS)
            )

        with ThreadPoolExecutor(READERS) as pool:
            if not all(pool.map(read, range(READERS))):
                raise FgbenchError(f"{array.filename} is shorter than it was")


def _is_whole_file(array: np.ndarray) -> TypeGuard[np.memmap[Any, Any]]:
    """Whether an array is all of what was mapped from a file, as `numpy.load` gives it, where parts can be read."""
    return (
        isinstance(array, np.memmap)
        and not isinstance(array.base, np.ndarray)
        and array.mode == "r"
        and array.flags.c_contiguous
        and hasattr(os, "preadv")
    )

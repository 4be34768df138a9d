"""Columns of an array in a file that is larger than memory."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

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


def column_blocks(array: np.ndarray, block_bytes: int, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """Yield the columns of an array in blocks on a device.

    A thread reads the next block while the caller uses the last one; for a GPU, into pinned memory.

    Args:
        array: Array (N, D), in memory or mapped from a file.
        block_bytes: Maximum bytes of a block, unless one column has more.
        device: Device of the blocks.

    Yields:
        The slice of W columns, and the block (N, W) float32. On a CPU, the block after the next one reuses its memory.
    """
    rows, dims = array.shape
    width = max(1, min(dims, block_bytes // (4 * rows)))
    slices = [slice(start, min(start + width, dims)) for start in range(0, dims, width)]
    pinned = device.type != "cpu"
    buffers = [torch.empty(rows * width, dtype=torch.float32, pin_memory=pinned) for _ in range(2)]

    def read(number: int) -> Tensor:
        columns = slices[number]
        block = buffers[number % 2][: rows * (columns.stop - columns.start)].view(rows, -1)
        read_columns(array, columns, block.numpy())
        return block

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, 0)
        for number, columns in enumerate(slices):
            block = coming.result()
            if number + 1 < len(slices):
                coming = reader.submit(read, number + 1)
            yield columns, block.to(device)  # the host waits for the copy to a GPU: the memory is filled again


def _is_whole_file(array: np.ndarray) -> TypeGuard[np.memmap[Any, Any]]:
    """True for an array that `numpy.load` maps read-only from a file, if the system can read at an offset."""
    return (
        isinstance(array, np.memmap)
        and not isinstance(array.base, np.ndarray)
        and array.mode == "r"
        and array.flags.c_contiguous
        and hasattr(os, "preadv")
    )

"""The memory of this process: how much it is, and what is kept of it."""

import ctypes
import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`."""
MIB = 1 << 20
KEPT = {M_MMAP_THRESHOLD: 1024 * MIB, M_TRIM_THRESHOLD: 2048 * MIB - 1, M_TOP_PAD: 64 * MIB}
"""Freed blocks of less than a GiB are used again."""
GIVEN_BACK = {M_MMAP_THRESHOLD: 32 * MIB, M_TRIM_THRESHOLD: 64 * MIB, M_TOP_PAD: 128 << 10}
"""What glibc itself comes to after large blocks."""


def peak_mib() -> float:
    """Largest resident memory of this process in MiB, since `forget_peak` where it works."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not ru_maxrss, which a child process takes over from its parent.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource  # not there on Windows, where everything else is to work

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forget_peak() -> bool:
    """From here on `peak_mib` counts anew; False where the system cannot do that (it is one of Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return True
    return False


def unmap_pages(array: object) -> None:
    """What has been read of an array that is mapped from a file is no longer memory of this process.

    The system keeps it as long as it has room. What is not such an array, or a part of one, is left alone; and all is
    where the system has no word for it.
    """
    if isinstance(array, np.memmap) and array.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        base: object = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


_blocks: list[None] = []
"""One for each block of `freed_memory_kept` that is open."""


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Freed memory is used again instead of given back, where the C library is glibc; says whether it is.

    Every step of training frees and takes the same large tensors. By default each of them is mapped anew, and the
    system clears every page of it again at the first touch. Only for work that keeps nothing: a small tensor that stays
    in the room of a large one costs that room. Blocks may lie in each other: the outermost decides.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield False
        return
    _blocks.append(None)
    try:
        yield _set(mallopt, KEPT)
    finally:
        _blocks.pop()
        if not _blocks:
            _set(mallopt, GIVEN_BACK)
            trim(0)


def _set(mallopt: Callable[[int, int], int], values: dict[int, int]) -> bool:
    return all(mallopt(parameter, value) == 1 for parameter, value in values.items())

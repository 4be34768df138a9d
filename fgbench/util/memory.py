"""Memory of this process: its peak, mapped files, and reuse of freed memory."""

import ctypes
import gc
import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`."""
MIB = 1 << 20
KEEP_FREED = {M_MMAP_THRESHOLD: 1024 * MIB, M_TRIM_THRESHOLD: 2048 * MIB - 1, M_TOP_PAD: 64 * MIB}
"""Settings in bytes with which glibc reuses freed blocks of less than 1 GiB."""
RETURN_FREED = {M_MMAP_THRESHOLD: 32 * MIB, M_TRIM_THRESHOLD: 64 * MIB, M_TOP_PAD: 128 << 10}
"""Settings in bytes that glibc itself reaches after large blocks were freed."""


def peak_mib() -> float:
    """Return the largest resident memory of this process in MiB, since the last `forget_peak` that returned True."""
    status = Path("/proc/self/status")
    if status.is_file():
        # ru_maxrss is not used, because a child process inherits it from its parent.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource  # does not exist on Windows, where the rest of this module works

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forget_peak() -> bool:
    """Reset `peak_mib` to the present memory; return False if the system cannot do that. Linux can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return True
    return False


def unmap_pages(array: object) -> None:
    """Release the pages of an array that is mapped from a file from the memory of this process.

    The system may keep them in its cache, and they can be read again. Nothing happens for another array, and on a
    system without `madvise`.

    Args:
        array: an array as `numpy.load` maps it, or a part of one.
    """
    if isinstance(array, np.memmap) and array.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        base: object = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


_blocks: list[None] = []
"""One entry for each open block of `freed_memory_kept`."""


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Reuse freed memory inside the block instead of returning it to the system; this needs glibc.

    Every training step frees and allocates the same large tensors. By default the system maps each one again and clears
    each of its pages at the first access. Use this only for work that keeps no tensors: a small tensor in the place
    of a large freed one occupies all of it. Blocks can be nested; the settings end with the outermost one.

    Yields:
        False if the C library is not glibc or rejects the settings.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield False
        return
    _blocks.append(None)
    try:
        yield _set(mallopt, KEEP_FREED)
    finally:
        _blocks.pop()
        if not _blocks:
            _set(mallopt, RETURN_FREED)
            trim(0)


@contextmanager
def garbage_collector_off() -> Iterator[None]:
    """Switch off the garbage collector in a block, after a collection.

    It would add its time to measurements, and look through thousands of new objects again and again.
    """
    was_on = gc.isenabled()
    if was_on:
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _set(mallopt: Callable[[int, int], int], values: dict[int, int]) -> bool:
    return all(mallopt(parameter, value) == 1 for parameter, value in values.items())

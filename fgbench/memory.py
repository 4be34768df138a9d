"""How a process that trains keeps the memory of the CPU."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`."""
MIB = 1 << 20
KEPT = {M_MMAP_THRESHOLD: 1024 * MIB, M_TRIM_THRESHOLD: 2048 * MIB - 1, M_TOP_PAD: 64 * MIB}
"""Freed blocks of less than a GiB are used again."""
GIVEN_BACK = {M_MMAP_THRESHOLD: 32 * MIB, M_TRIM_THRESHOLD: 64 * MIB, M_TOP_PAD: 128 << 10}
"""What glibc itself comes to after large blocks."""


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Freed memory is used again instead of given back, where the C library is glibc; says whether it is.

    Every step of training frees and takes the same large tensors. By default each of them is mapped anew, and the
    system clears every page of it again at the first touch. Only for work that keeps nothing: a small tensor that stays
    in the room of a large one costs that room.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield False
        return
    try:
        yield _set(mallopt, KEPT)
    finally:
        _set(mallopt, GIVEN_BACK)
        trim(0)


def _set(mallopt: Callable[[int, int], int], values: dict[int, int]) -> bool:
    return all(mallopt(parameter, value) == 1 for parameter, value in values.items())

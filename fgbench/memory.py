"""How a process that trains on the CPU keeps its memory."""

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`."""
KEPT_BYTES = 1 << 30
"""Freed blocks smaller than this are not given back to the system."""


def keep_freed_memory() -> bool:
    """Use freed memory again instead of giving it back, where the C library is glibc; says whether it is.

    Every step of training frees and takes the same large tensors. By default each of them is mapped anew, and the
    system clears every page of it again at the first touch.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = (M_MMAP_THRESHOLD, KEPT_BYTES), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 << 20)
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)

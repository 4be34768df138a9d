"""Damages of bytes, and what a reader of them must do: return the value of the undamaged bytes, or raise an error."""

import random
from collections.abc import Callable

from faults.damages import time_limit

from fgbench.util.errors import FgbenchError

Damage = Callable[[bytes], bytes]
MAX_LINES = 20
"""Most lines of a message."""


def flipped(rng: random.Random, start: int = 0) -> Damage:
    """Return a damage of one bit."""
    place, bit = rng.random(), 1 << rng.randrange(8)

    def damage(content: bytes) -> bytes:
        damaged = bytearray(content)
        damaged[start + int(place * (len(content) - start))] ^= bit
        return bytes(damaged)

    return damage


def shortened(rng: random.Random) -> Damage:
    """Return a damage that leaves the first part."""
    share = rng.random()
    return lambda content: content[: int(share * len(content))]


def survive(read: Callable[[], object], expected: object, *, may_differ: bool = False) -> None:
    """Call a reader.

    Args:
        read: the reader.
        expected: its value for the undamaged file.
        may_differ: True if the format has no checksum, so that damage may change the value.
    """
    try:
        with time_limit(60):
            value = read()
    except FgbenchError as error:
        text = str(error)
        assert text
        assert len(text.splitlines()) <= MAX_LINES, text
        assert len(text) < 5000, text[:500]
    else:
        assert may_differ or value == expected, f"{value!r} instead of {expected!r}"


def refuse(read: Callable[[], object]) -> None:
    """Call a reader of a file that no reader can accept."""
    try:
        with time_limit(60):
            value = read()
    except FgbenchError:
        return
    raise AssertionError(f"accepted: {value!r}")

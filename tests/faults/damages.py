"""Ways to damage a file, and a limit of time, for the faults of files."""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

Damage = Callable[[Path], object]


class Hang(BaseException):
    """Not an `Exception`, so that code which reads a damaged file does not take it for damage."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer; it must run in the main thread."""

    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Hang:
        raise AssertionError(f"it still waits after {seconds} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def flip(place: float, bit: int) -> Damage:
    """Flip a bit at a place between 0, the first byte, and 1, the end."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[min(int(place * len(content)), len(content) - 1)] ^= 1 << bit
        path.write_bytes(content)

    return damage


def cut(place: float) -> Damage:
    """Cut a file at a place between 0 and 1; at 1, only the last byte is lost."""
    return lambda path: os.truncate(path, min(int(place * path.stat().st_size), path.stat().st_size - 1))


def replaced(content: bytes) -> Damage:
    """Write other bytes."""
    return lambda path: path.write_bytes(content)


def noise(seed: int) -> Damage:
    """Write random bytes of the same length."""
    return lambda path: path.write_bytes(random.Random(seed).randbytes(path.stat().st_size))


def extended(path: Path) -> None:
    """Append bytes."""
    with path.open("ab") as file:
        file.write(b"more")


def other_array(path: Path) -> None:
    """Write an array of another shape and type in the format of numpy."""
    with path.open("wb") as file:
        np.save(file, np.arange(6).reshape(2, 3))


def other_archive(path: Path) -> None:
    """Write an archive of other arrays."""
    with path.open("wb") as file:
        np.savez(file, shape=np.array([3]), mask=np.array([7], np.uint8), values=np.ones(3, np.float32))


def moved_away(make: Damage) -> Damage:
    """Put something else in the place of a file."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def folder_with_a_file(path: Path) -> None:
    """Make a folder that is not empty."""
    path.mkdir()
    (path / "file").write_text("x")


GROSS: dict[str, Damage] = {
    "empty": replaced(b""),
    "half": cut(0.5),
    "noise": noise(0),
    "text": replaced(b"hello\n"),
    "JSON": replaced(b"{}"),
    "a JSON list": replaced(b"[1, 2]"),
    "an array": other_array,
    "an archive": other_archive,
    "a folder": moved_away(folder_with_a_file),
    "a FIFO": moved_away(os.mkfifo),
}
"""Damages that must be named."""
SUBTLE: dict[str, Damage] = {
    "appended bytes": extended,
    "missing": Path.unlink,
    "a link to nowhere": moved_away(lambda path: path.symlink_to("nowhere")),
}
"""Damages that can leave the content as it was, or count as a missing file."""


def damages(draw: random.Random, count: int) -> Iterator[tuple[str, Damage, bool]]:
    """Yield (kind, damage, must it be named) in random order: bits of the whole file, cuts, and other content."""
    gross = draw.sample(sorted(GROSS), len(GROSS))
    for number in range(count):
        if number % 2 == 0:
            yield "flipped bit", flip(draw.random(), draw.randrange(8)), False
        elif number % 4 == 1:
            kind = gross[number // 4 % len(gross)]
            yield kind, GROSS[kind], True
        elif number % 8 == 3:
            yield "cut", cut(draw.random()), False
        else:
            kind = draw.choice(sorted(SUBTLE))
            yield kind, SUBTLE[kind], False


def copied(state: Path, target: Path) -> Path:
    """Copy a folder; return the copy."""
    shutil.copytree(state, target, symlinks=True)
    return target

"""A disk of 20 MB that is filled before or in the middle of a command, and freed: the same command then succeeds."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from faults.case import Case
from faults.kills import Attempt

SIZE = "20m"
ROOM_KIB = (0, 4, 12, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Free space with which a command starts."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of `SIZE` at a folder for the length of the block.

    Raises:
        PermissionError: this user may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PermissionError(f"cannot mount a small disk: {error}") from error
    if done.returncode:
        raise PermissionError(f"cannot mount a small disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def cases(kind: str, disk: Path, attempt: Attempt, rooms: Sequence[int] = ROOM_KIB) -> Iterator[Case]:
    """Yield a case for each amount of free space.

    Args:
        kind: name of the command.
        disk: a small disk.
        attempt: a command whose folder is on this disk.
        rooms: free space in KiB.
    """
    for room in rooms:
        yield f"{kind}, full disk", partial(_fill, disk, attempt, room)


def _fill(disk: Path, attempt: Attempt, room_kib: int) -> None:
    """Run the command with little room, free the disk, and run it again."""
    folder, filler = attempt.make(), disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(disk).free - room_kib * 1024))
    try:
        full = attempt.run(folder)
        assert "Traceback" not in full.output, full.output
        assert full.code in {0, 1, 2}, (full.code, full.output)
        assert full.code != 2 or "full" in full.output or "free" in full.output, full.output
    finally:
        filler.unlink()
    attempt.repeat(folder, f"{room_kib} KiB were free")

"""Files of tensors in the format of torch: written completely or not at all, and verified when they are read."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from fgbench.util.damaged import is_present, owner_of, set_aside
from fgbench.util.files import write_atomic

_SUM = b"\ncrc32 %08x\n"
"""The end of a file: the checksum of everything before it. A reader of zip archives ignores it."""
_SUM_BYTES = len(_SUM % 0)
_BLOCK = 1 << 20
CPU = torch.device("cpu")
EXTRA_STATE = "_extra_state"
"""End of the name of what `get_extra_state` of a module returns, in the state of a network."""


def save_torch(path: Path, value: Mapping[str, Any]) -> None:
    """Write a dictionary of tensors, numbers, texts and lists, atomically, with a checksum.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            target = _Target(file, path)
            try:
                torch.save(value, target)  # type: ignore[arg-type]
            except RuntimeError:
                # torch hides the error of the system, such as a full disk, behind one of its own.
                if target.error:
                    raise target.error from None
                raise
            target.write(_SUM % target.checksum)

    write_atomic(path, write)


class _Target:
    """A file that keeps the checksum of what is written and the last error of the system."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self.checksum = _start(path)
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            self._file.write(content)
        except OSError as error:
            self.error = error
            raise
        self.checksum = zlib.crc32(content, self.checksum)
        return len(content)

    def flush(self) -> None:
        self._file.flush()


def _start(path: Path) -> int:
    """Return the checksum of the names of the file and its folder: no file of another run has the right checksum."""
    return zlib.crc32(owner_of(path).encode())


def load_torch(path: Path, device: torch.device = CPU) -> dict[str, Any] | None:
    """Return what `save_torch` wrote; None if there is no file. A damaged file is set aside.

    torch itself verifies no checksum. Verifying it takes about one second for each gigabyte.

    Args:
        path: the file.
        device: where the tensors are put.

    Raises:
        FgbenchError: a damaged file cannot be set aside.
    """
    if not is_present(path):
        return None
    try:
        if _has_right_sum(path):
            return torch.load(path, map_location=device, weights_only=True)  # type: ignore[no-any-return]
        reason = "its checksum is wrong"
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
    set_aside(path, reason)
    return None


def _has_right_sum(path: Path) -> bool:
    """Return True if a file ends in the checksum of everything before it."""
    checksum, left = _start(path), path.stat().st_size - _SUM_BYTES
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            checksum, left = zlib.crc32(block, checksum), left - len(block)
        return left == 0 and file.read() == _SUM % checksum


def same_form(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Return True if two states of a network have tensors of the same names, shapes and types.

    A network that is loaded from a state of another form would be changed in part before torch raises an error. What
    `get_extra_state` of a module returns is not compared: it grows when the module is fitted.
    """
    return state.keys() == expected.keys() and all(
        name.endswith(EXTRA_STATE)
        or (isinstance(value, Tensor) and value.shape == expected[name].shape and value.dtype == expected[name].dtype)
        for name, value in state.items()
    )

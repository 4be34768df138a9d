"""Files of tensors in the format of torch: written completely or not at all, and verified when they are read."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from fgbench.util.damaged import is_present, owner_of, set_aside
from fgbench.util.files import write_atomic

_OWNER = "file"
"""Key of the names of the file and its folder."""


def save_torch(path: Path, value: Mapping[str, Any]) -> None:
    """Write a dictionary of tensors, numbers, texts and lists, atomically.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            target = _Target(file)
            try:
                torch.save({**value, _OWNER: owner_of(path)}, target)  # type: ignore[arg-type]
            except RuntimeError:
                # torch hides the error of the system, such as a full disk, behind one of its own.
                if target.error:
                    raise target.error from None
                raise

    write_atomic(path, write)


class _Target:
    """A file that keeps the last error of the system."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def load_torch(path: Path) -> dict[str, Any] | None:
    """Return what `save_torch` wrote, in the memory of the CPU; None if there is no file. A damaged file is set aside.

    The checksum of each tensor is verified, which torch does not do; that takes about one second for each gigabyte. A
    file that was written under another name or in another folder counts as damaged.

    Raises:
        FgbenchError: a damaged file cannot be set aside.
    """
    if not is_present(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is None:
                value = torch.load(path, map_location="cpu", weights_only=True)
                if isinstance(value, dict) and value.pop(_OWNER, None) == owner_of(path):
                    return value
                reason = "it belongs to other work"
            else:
                reason = "a checksum is wrong"
    except Exception as error:  # damaged bytes can raise any error  # noqa: BLE001
        reason = f"it cannot be read: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"
    set_aside(path, reason)
    return None


def same_form(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Return True if two states of a network have tensors of the same names, shapes and types.

    A network that is loaded from a state of another form would be changed in part before torch raises an error.
    """
    return state.keys() == expected.keys() and all(
        isinstance(value, Tensor) and value.shape == expected[name].shape and value.dtype == expected[name].dtype
        for name, value in state.items()
    )

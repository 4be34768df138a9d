"""Checkpoints of a training, written in a thread while the training goes on."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgbench.util.background import Background
from fgbench.util.torch_files import save_torch


class CheckpointWriter(Background):
    """Writes checkpoints to a file, one at a time; use it in a `with` block.

    The file is replaced when a checkpoint is complete, so that a killed program leaves the one before. An error, such
    as a full disk, is raised by the next call, or at the end of the block.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._began, self._cost_s = time.monotonic(), 0.0

    def is_due(self, share: float) -> bool:
        """Return True if a checkpoint now would not use more than a share of the time.

        Raises:
            FgbenchError: the last checkpoint could not be written.
        """
        since = time.monotonic() - self._began
        if self.is_busy:
            cost = since  # so far
        else:
            self.wait()
            cost = self._cost_s
        return since >= cost / share

    def write(self, state: Mapping[str, Any]) -> None:
        """Copy a state to the memory of the host, and start to write it. An unfinished checkpoint is finished first.

        Args:
            state: tensors, numbers, texts, and lists and dictionaries of them. They may be changed after the call.

        Raises:
            FgbenchError: the last checkpoint could not be written.
        """
        self.wait()
        self._began = time.monotonic()
        self.start(self._save, host_copy(state))

    def _save(self, state: Mapping[str, Any]) -> None:
        save_torch(self._path, state)
        self._cost_s = time.monotonic() - self._began


def host_copy(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a state with all tensors in the memory of the host.

    A tensor that occurs several times, such as a weight of two streams, is copied once. Copies from a GPU use pinned
    memory, and the host waits once for all of them.
    """
    copies: dict[int, Tensor] = {}
    copied: dict[str, Any] = _copy(state, copies)
    if any(copy.is_pinned() for copy in copies.values()):
        torch.cuda.synchronize()
    return copied


def _copy(value: Any, copies: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        if id(value) not in copies:
            copies[id(value)] = _copy_tensor(value.detach())
        return copies[id(value)]
    if isinstance(value, Mapping):
        return {name: _copy(part, copies) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy(part, copies) for part in value)
    return value


def _copy_tensor(tensor: Tensor) -> Tensor:
    if tensor.is_cpu:
        return tensor.clone()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)

"""Memory of a GPU that this process uses: its peak, and how much is free."""

from collections.abc import Callable

import torch

_peaks: dict[torch.device, int] = {}
"""Largest use in bytes before the last call of `start_measurement`."""


def has_device_memory(device: torch.device) -> bool:
    """Return True for a GPU whose memory torch can measure."""
    return device.type == "cuda" and torch.cuda.is_available()


def forget_device_peak(device: torch.device) -> None:
    """Reset `device_peak_mib` to the present use."""
    if has_device_memory(device):
        _peaks.pop(device, None)
        torch.cuda.reset_peak_memory_stats(device)


def device_peak_mib(device: torch.device) -> float | None:
    """Return the largest memory in MiB that tensors of this process have used on a GPU since the last reset.

    None for another device.
    """
    if not has_device_memory(device):
        return None
    return max(_peaks.get(device, 0), torch.cuda.max_memory_allocated(device)) / 2**20


def start_measurement(device: torch.device) -> Callable[[], int]:
    """Return a function that returns the bytes of a GPU that were used at most since now, beyond those used now."""
    _peaks[device] = max(_peaks.get(device, 0), torch.cuda.max_memory_allocated(device))
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    return lambda: torch.cuda.max_memory_allocated(device) - before


def free_bytes(device: torch.device) -> int:
    """Return the bytes of a GPU that new tensors of this process can use."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused

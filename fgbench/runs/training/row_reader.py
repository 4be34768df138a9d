"""Rows of large arrays for the batches of a training.

On a GPU they come from its memory, or from files by a thread that reads ahead. The host waits for the GPU in neither
case.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fgbench.datasets.pixel_cache import Pixels
from fgbench.util.device_memory import free_bytes
from fgbench.util.memory import unmap_pages
from fgbench.util.numeric.devices import to_device

Rows = Tensor | Pixels | np.ndarray
"""(N, ...): a tensor in the memory of the GPU, or an array in memory or in a file."""
AHEAD = 2
"""Number of batches that the thread reads ahead."""
CHUNK_BYTES = 64 << 20
"""Bytes that are copied to the GPU at a time."""
FREE_SHARE = 0.25
"""Largest share of the free memory of a GPU for the training images. The rest is for the training itself."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def array_to_device(values: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a device without waiting for it."""
    return to_device(torch.from_numpy(np.array(values)), device)


def read_rows(
    rows: Rows, plan: Sequence[np.ndarray], on_device: Sequence[Tensor], device: torch.device
) -> Iterator[Tensor]:
    """Yield rows batch by batch on a device.

    Args:
        rows: (N, ...).
        plan: row numbers (B,) int64 of each batch.
        on_device: the same on the device.
        device: device of the batches.

    Yields:
        (B, ...).
    """
    if isinstance(rows, Tensor):
        for numbers in on_device:
            yield rows.index_select(0, numbers)
    elif device.type == "cpu":
        for chosen in plan:
            values = np.array(rows[chosen])
            unmap_pages(rows)
            yield torch.from_numpy(values)
    else:
        example = torch.from_numpy(np.array(rows[:1]))
        # This thread allocates pinned memory, from which copies do not wait. The reading thread fills it. torch uses
        # the memory again when the copy is finished.
        buffers = (
            (torch.empty((len(chosen), *example.shape[1:]), dtype=example.dtype, pin_memory=True), chosen)
            for chosen in plan
        )
        for buffer in read_ahead(lambda item: _fill(item[0], rows, item[1]), buffers):
            yield buffer.to(device, non_blocking=True)


def read_ahead(read: Callable[[Item], Result], items: Iterator[Item]) -> Iterator[Result]:
    """Yield `read(item)` for each item. A thread computes the next `AHEAD` results meanwhile."""
    with ThreadPoolExecutor(1, "read-ahead") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(read, item))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _fill(buffer: Tensor, rows: Pixels | np.ndarray, chosen: np.ndarray) -> Tensor:
    """Copy rows of an array to a tensor, one by one: a batch of them needs no memory besides the tensor."""
    target = buffer.numpy()
    for place, row in enumerate(chosen):
        target[place] = rows[row]
    unmap_pages(rows)
    return buffer


def in_order(pixels: Pixels, size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield all images of the host (N, H, W, 3) in their order on a device, `size` at a time."""
    plan = np.array_split(np.arange(len(pixels)), range(size, len(pixels), size))
    return read_rows(pixels, plan, (), device)


def on_gpu_if_it_fits(pixels: Pixels, device: torch.device) -> Rows:
    """Copy images to the memory of the GPU if they need less than `FREE_SHARE` of what is free.

    Args:
        pixels: (N, H, W, 3) uint8.
        device: device of the training.

    Returns:
        The images on the GPU, or `pixels` itself.
    """
    if device.type == "cpu" or np.prod(pixels.shape) > FREE_SHARE * free_bytes(device):
        return pixels
    images, done = torch.empty(pixels.shape, dtype=torch.uint8, device=device), 0
    for chunk in in_order(pixels, max(1, CHUNK_BYTES // int(np.prod(pixels.shape[1:]))), device):
        images[done : done + len(chunk)] = chunk
        done += len(chunk)
    return images

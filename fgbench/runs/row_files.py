"""Rows computed from many images, written to files batch by batch; an interrupted computation is continued."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgbench.datasets.pixel_cache import Pixels
from fgbench.util.background import Background
from fgbench.util.checked_rows import CheckedRows
from fgbench.util.device_memory import free_bytes, has_device_memory, start_measurement
from fgbench.util.memory import unmap_pages

Progress = Callable[[int, int], object]
"""Called with (number of finished images, number of all images)."""
FREE_SHARE = 0.5
"""Share of the free memory of a GPU that a batch may use."""
GROWTH = 16
"""Maximum size of a batch on a GPU, relative to that on a CPU. Larger ones are not faster."""
MAP_VALUES, MAP_CHANNELS = 2**31 - 1, 64
"""Maximum number of values in the maps of a batch, which some operations of a GPU count in 32 bits, and the channels of
the largest maps, which have the size of the images."""


def inference_batch(side: int) -> int:
    """Return the number of images in a batch of inference on a CPU, by their side in pixels."""
    return 16 if side > 128 else 128


def _largest_batch(side: int) -> int:
    """Return the maximum number of images in a batch of inference on a GPU, by their side in pixels."""
    return min(GROWTH * inference_batch(side), MAP_VALUES // (MAP_CHANNELS * side**2))


class BatchSize:
    """Number of images in a batch. On a GPU it is increased after the first batch, whose memory is measured.

    It is doubled while a batch needs less than `FREE_SHARE` of the free memory, at most to `GROWTH` times the size on a
    CPU, and while its maps have fewer than `MAP_VALUES` values.

    Args:
        size: number of images in the first batch.
        side: their side in pixels.
        device: device of the computation.

    Attributes:
        size: number of images in the next batch.
    """

    def __init__(self, size: int, side: int, device: torch.device) -> None:
        self.size, self._device, self._limit = size, device, _largest_batch(side)
        self._is_final = not has_device_memory(device)

    @contextmanager
    def measured(self, images: int) -> Iterator[None]:
        """In this block a batch of some images is computed."""
        if self._is_final:
            yield
            return
        used = start_measurement(self._device)
        yield
        needed, free = used() * self.size / images, FREE_SHARE * free_bytes(self._device)
        while 2 * self.size <= self._limit and 2 * needed <= free:
            self.size, needed = 2 * self.size, 2 * needed
        self._is_final = True


def batches(pixels: Pixels, size: int, device: torch.device) -> Iterator[Tensor]:
    """Yield batches (B, 3, H, W) uint8, channels last in memory, of pixels (N, H, W, 3).

    Args:
        pixels: (N, H, W, 3) uint8.
        size: images in a batch; on a GPU in the first batch, see `BatchSize`.
        device: device of the batches.
    """
    batch, row = BatchSize(size, pixels.shape[1], device), 0
    while row < len(pixels):
        images = to_images(pixels, slice(row, row + batch.size), device)
        row += len(images)
        with batch.measured(len(images)):
            yield images


def to_images(pixels: Pixels, rows: slice | np.ndarray, device: torch.device) -> Tensor:
    """Return rows of pixels (N, H, W, 3) as a (B, 3, H, W) uint8 tensor, channels last in memory."""
    images = np.array(pixels[rows])
    unmap_pages(pixels)
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2)


@torch.inference_mode()
def map_outputs(
    paths: Mapping[str, Path],
    pixels: Pixels,
    compute: Callable[[Tensor], Mapping[str, Tensor]],
    *,
    batch_size: int,
    device: torch.device,
    progress: Progress = lambda done, total: None,
    mirror: bool = False,
) -> dict[str, np.ndarray]:
    """Compute named rows for every image, one file for each name; an interrupted computation is continued.

    Rows of an earlier session are verified by their checksums. Damaged rows are computed again. A thread writes the
    rows of a batch while the next batch is computed.

    Args:
        paths: file of each name.
        pixels: (N, H, W, 3) uint8.
        compute: maps images (B, 3, H, W) uint8 to named arrays (B, ...), which later calls do not change.
        batch_size: images at a time; on a GPU in the first batch, see `BatchSize`.
        device: device of the computation.
        progress: called after each batch.
        mirror: also compute the rows of every mirror image.

    Returns:
        Name -> (N, ...) float32; with `mirror` (2N, ...), the mirror images after the images.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """
    total = len(pixels) * (1 + mirror)
    files = {name: CheckedRows(path, total) for name, path in paths.items()}
    done = max(set.intersection(*(file.ends for file in files.values())))
    for file in files.values():
        file.keep(done)  # an interruption may have happened between two files

    def write(rows: Mapping[str, np.ndarray]) -> None:
        for name, file in files.items():
            file.append(rows[name])

    batch = BatchSize(batch_size, pixels.shape[1], device)
    with ExitStack() as stack:
        for file in files.values():
            stack.enter_context(file)  # flushes it at the end, and after an error
        writer = stack.enter_context(Background())
        while done < total:
            flipped, row = divmod(done, len(pixels))
            images = to_images(pixels, slice(row, row + batch.size), device)
            with batch.measured(len(images)):
                rows = compute(images.flip(-1) if flipped else images)
            writer.start(write, {name: rows[name].float().cpu().numpy() for name in files})
            done += len(images)
            progress(done, total)
    return {name: file.read() for name, file in files.items()}


def map_images(
    path: Path,
    pixels: Pixels,
    compute: Callable[[Tensor], Tensor],
    *,
    batch_size: int,
    device: torch.device,
    progress: Progress = lambda done, total: None,
    mirror: bool = False,
) -> np.ndarray:
    """Compute one row for every image, as `map_outputs`: (N, ...) float32, or (2N, ...) with `mirror`."""
    return map_outputs(
        {"rows": path},
        pixels,
        lambda images: {"rows": compute(images)},
        batch_size=batch_size,
        device=device,
        progress=progress,
        mirror=mirror,
    )["rows"]

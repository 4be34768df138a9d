"""Rows computed from many images, written to files batch by batch; an interrupted computation is continued."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgbench.datasets.pixel_cache import Pixels
from fgbench.util.checked_rows import CheckedRows
from fgbench.util.memory import unmap_pages

Progress = Callable[[int, int], object]
"""Called with (number of finished images, number of all images)."""


def batches(pixels: Pixels, size: int, device: torch.device, start: int = 0) -> Iterator[Tensor]:
    """Yield batches (B, 3, H, W) uint8, channels last in memory, of pixels (N, H, W, 3) from row `start` on."""
    for row in range(start, len(pixels), size):
        yield to_images(pixels, slice(row, row + size), device)


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

    Rows of an earlier session are verified by their checksums. Damaged rows are computed again.

    Args:
        paths: file of each name.
        pixels: (N, H, W, 3) uint8.
        compute: maps images (B, 3, H, W) uint8 to named arrays (B, ...).
        batch_size: images at a time.
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
    with ExitStack() as stack:
        for file in files.values():
            stack.enter_context(file)  # flushes it at the end, and after an error
        while done < total:
            flipped, row = divmod(done, len(pixels))
            images = to_images(pixels, slice(row, row + batch_size), device)
            rows = compute(images.flip(-1) if flipped else images)
            for name, file in files.items():
                file.append(rows[name].float().cpu().numpy())
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

"""Rows computed from many images, written to a memory-mapped file batch by batch; an interrupted file is continued."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgbench.datasets.pixel_cache import Pixels
from fgbench.util.files import write_json
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


class RowFile:
    """A (rows, ...) float32 array on disk that is filled from the first row. A second file counts the filled rows.

    Args:
        path: file of the array.
        rows: number of rows.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self.rows = path, rows
        self._state = path.with_suffix(".json")
        self.done = 0
        if path.is_file() and self._state.is_file():
            self.done = json.loads(self._state.read_text())["done"]

    def append(self, values: np.ndarray) -> None:
        """Write the next rows (B, ...) to the disk, then update the count."""
        if not self.done:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            np.lib.format.open_memmap(self.path, mode="w+", dtype=np.float32, shape=(self.rows, *values.shape[1:]))
        row_bytes = values[0].size * np.dtype(np.float32).itemsize
        with self.path.open("r+b") as file:
            file.seek((self.done - self.rows) * row_bytes, os.SEEK_END)
            file.write(values.astype(np.float32).tobytes())
            file.flush()
            os.fsync(file.fileno())
        self.done += len(values)
        write_json(self._state, {"done": self.done})

    def read(self) -> np.ndarray:
        """Return all rows, memory-mapped and read-only."""
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]


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
    """
    total = len(pixels) * (1 + mirror)
    files = {name: RowFile(path, total) for name, path in paths.items()}
    done = min(file.done for file in files.values())
    for file in files.values():
        file.done = done  # an interruption may have happened between two files
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

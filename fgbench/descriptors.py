"""Descriptors of many images, written to a memory-mapped file as they come, and taken up where they stopped."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgbench.files import write_json
from fgbench.methods.base import Method

Progress = Callable[[int, int], object]
"""Called with (images done, images in all)."""


def batches(pixels: np.ndarray, size: int, device: torch.device, start: int = 0) -> Iterator[Tensor]:
    """Batches (B, 3, H, W) uint8, channels last, of pixels (N, H, W, 3) from row `start` on."""
    for row in range(start, len(pixels), size):
        yield to_images(pixels[row : row + size], device)


def to_images(pixels: np.ndarray, device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 array as a (B, 3, H, W) tensor, channels last in memory."""
    return torch.from_numpy(np.array(pixels)).to(device).permute(0, 3, 1, 2)


class RowFile:
    """A (rows, columns) float32 array on disk that is filled from the top, and knows how far it has got."""

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self.rows = path, rows
        self._note = path.with_suffix(".json")
        self.done = 0
        if path.is_file() and self._note.is_file():
            self.done = json.loads(self._note.read_text())["done"]
        self._array: np.memmap | None = None

    def append(self, values: np.ndarray) -> None:
        """Write the next rows and note it, so that they survive an interruption."""
        if self._array is None:
            mode = "r+" if self.done else "w+"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._array = np.lib.format.open_memmap(
                self.path, mode=mode, dtype=np.float32, shape=(self.rows, values.shape[1])
            )
        self._array[self.done : self.done + len(values)] = values
        self._array.flush()
        self.done += len(values)
        write_json(self._note, {"done": self.done})

    def read(self) -> np.ndarray:
        """All rows, memory-mapped and read-only."""
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]


@torch.inference_mode()
def map_images(
    path: Path,
    pixels: np.ndarray,
    compute: Callable[[Tensor], Tensor],
    *,
    batch_size: int,
    device: torch.device,
    progress: Progress = lambda done, total: None,
    mirror: bool = False,
) -> np.ndarray:
    """Rows that `compute` gives for every image, kept at `path`; with `mirror`, those of the mirror images after them.

    Args:
        path: where the rows are kept, with a note of how far they have got.
        pixels: (N, H, W, 3) uint8.
        compute: maps images (B, 3, H, W) uint8 to (B, D).
        batch_size: images at a time.
        device: where to compute.
        progress: called after each batch.
        mirror: also take every image flipped left to right.

    Returns:
        (N, D) float32, or (2N, D) with `mirror`.
    """
    total = len(pixels) * (1 + mirror)
    file = RowFile(path, total)
    while file.done < total:
        flipped, row = divmod(file.done, len(pixels))
        images = to_images(pixels[row : row + batch_size], device)
        file.append(compute(images.flip(-1) if flipped else images).float().cpu().numpy())
        progress(file.done, total)
    return file.read()


def embed_all(
    path: Path,
    method: Method,
    pixels: np.ndarray,
    *,
    batch_size: int,
    device: torch.device,
    progress: Progress = lambda done, total: None,
    mirror: bool = False,
) -> np.ndarray:
    """Descriptors of every image by `method` in inference mode; see `map_images`."""
    method.eval()
    return map_images(
        path, pixels, method.embed, batch_size=batch_size, device=device, progress=progress, mirror=mirror
    )

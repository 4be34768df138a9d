"""Features of a frozen trunk for a stage that trains only the head: where they are kept between the epochs.

On a CPU they are in a file. On a GPU they stay in its memory if they fit. Features that are too large for that and
for a file in float32 are rounded to bfloat16, or computed again in each epoch. The record says which.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from fgbench.datasets.pixel_cache import Pixels
from fgbench.runs.row_files import map_images
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.row_reader import Rows, array_to_device, in_order, on_gpu_if_it_fits, read_rows
from fgbench.util.damaged import read_checked_json, write_checked_json
from fgbench.util.device_memory import free_bytes

FREE_SHARE = 0.75
"""Largest share of the free memory of a GPU for the features."""
ROOM_BYTES = 8 << 30
"""Memory of a GPU that the features leave free: the training of the head needs weights, gradients and batches."""
FILE_BYTES = 8 << 30
"""Largest file of features in float32 for a training on a GPU."""
OPERATIONS_PER_BYTE = 10_000
"""Operations of the trunk that are assumed to take as long on a GPU as one byte of a file: 20 TFLOP/s in float32, and
2 GB/s. The rates are not measured, so that the choice does not depend on the load of the machine."""
NOTES = "head-features.json"
"""File in the work folder with the storage of the features of each stage."""

Trunk = Callable[[Tensor], Tensor]
"""Maps images (B, 3, H, W) uint8 to features (B, ...)."""


class Storage(StrEnum):
    """Where features are kept."""

    GPU = "float32 in the memory of the GPU"
    FILE = "float32 in a file"
    GPU_BF16 = "bfloat16 in the memory of the GPU"
    FILE_BF16 = "bfloat16 in a file"
    RECOMPUTED = "computed again in each epoch"


def choose_storage(images: int, values: int, epochs: int, free: float, operations: Callable[[], int]) -> Storage:
    """Choose the storage of features for a training on a GPU. Storage in float32 is preferred.

    Args:
        images: number of images.
        values: number of values in the features of an image.
        epochs: number of epochs of the stage.
        free: free memory of the GPU in bytes.
        operations: returns the operations of the trunk for an image.
    """
    size, room = 4 * images * values, room_for_features(free)
    if size <= room:
        return Storage.GPU
    if size <= FILE_BYTES:
        return Storage.FILE
    if size / 2 <= room:
        return Storage.GPU_BF16
    # A file is computed and written once, and read in each epoch. `pack` needs an even number of values.
    again = epochs * images * operations()
    file = images * operations() + (epochs + 1) * size / 2 * OPERATIONS_PER_BYTE
    return Storage.FILE_BF16 if file < again and values % 2 == 0 else Storage.RECOMPUTED


def room_for_features(free: float) -> float:
    """Return the largest size of features that stay in the memory of a GPU, in bytes; `free` is what is free."""
    return max(0.0, min(FREE_SHARE * free, free - ROOM_BYTES))


@torch.no_grad()
def count_operations(trunk: Trunk, image: Tensor) -> int:
    """Return the floating-point operations of the trunk for one image (1, 3, H, W); only products are counted."""
    with FlopCounterMode(display=False) as counter:
        trunk(image)
    return int(counter.get_total_flops())


class HeadFeatures:
    """Features of the trunk for all images of a stage.

    Args:
        trunk: maps images (B, 3, H, W) uint8 to features (B, ...).
        pixels: (N, H, W, 3) uint8.
        epochs: number of epochs of the stage.
        size: images at a time.
        engine: device and processes.
        path: file for the features, if they are kept in one. An interrupted computation is continued.

    Attributes:
        storage: where the features are kept.
        rows: (N, ...) as they are kept; None if they are computed again.
    """

    def __init__(self, trunk: Trunk, pixels: Pixels, epochs: int, size: int, engine: Engine, path: Path) -> None:
        self._trunk, self._pixels, self._size, self._device = trunk, pixels, size, engine.device
        self._path, self._keeps_file = path, engine.rank == 0
        self.rows: Rows | None = None
        self.storage = Storage.FILE
        if engine.device.type != "cpu":
            example = array_to_device(np.array(pixels[:1]), engine.device).permute(0, 3, 1, 2)
            self._shape = self._compute(example).shape[1:]
            free = engine.smallest(free_bytes(engine.device))
            self.storage = choose_storage(
                len(pixels), self._shape.numel(), epochs, free, lambda: count_operations(self._compute, example)
            )
        if self.storage in {Storage.GPU, Storage.GPU_BF16}:
            self.rows = self._on_gpu(torch.float32 if self.storage is Storage.GPU else torch.bfloat16)
        elif self.storage is Storage.RECOMPUTED:
            self._images = on_gpu_if_it_fits(pixels, engine.device)
        else:
            self.rows = self._in_file(engine)

    def read(self, plan: Sequence[np.ndarray], on_device: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the features (B, ...) float32 of the images with the numbers in `plan`; see `read_rows`."""
        if self.rows is None:
            for images in read_rows(self._images, plan, on_device, self._device):
                yield torch.cat([self._compute(part.permute(0, 3, 1, 2)) for part in torch.split(images, self._size)])
            return
        for values in read_rows(self.rows, plan, on_device, self._device):
            yield unpack(values, self._shape) if self.storage is Storage.FILE_BF16 else values.float()

    def drop(self) -> None:
        """Free the memory or delete the file of the features."""
        self.rows = None
        if self._keeps_file:
            self._path.unlink(missing_ok=True)
            self._path.with_suffix(".json").unlink(missing_ok=True)

    @torch.no_grad()
    def _compute(self, images: Tensor) -> Tensor:
        return self._trunk(images)

    def _on_gpu(self, dtype: torch.dtype) -> Tensor:
        """Compute the features and keep them on the GPU. Each process computes all."""
        rows, done = torch.empty((len(self._pixels), *self._shape), dtype=dtype, device=self._device), 0
        for images in in_order(self._pixels, self._size, self._device):
            rows[done : done + len(images)] = self._compute(images.permute(0, 3, 1, 2))
            done += len(images)
        return rows

    def _in_file(self, engine: Engine) -> np.ndarray:
        """Compute the features to a file in the first process. All processes memory-map it."""
        compute = self._trunk if self.storage is Storage.FILE else lambda images: pack(self._trunk(images))
        with engine.together():
            if engine.rank == 0:
                map_images(self._path, self._pixels, compute, batch_size=self._size, device=self._device)
        return np.load(self._path, mmap_mode="r")  # type: ignore[no-any-return]


def pack(features: Tensor) -> Tensor:
    """Return features (B, ...) of an even number D of values as (B, D / 2) float32 that hold two bfloat16 each."""
    return features.flatten(1).bfloat16().view(torch.float32)


def unpack(packed: Tensor, shape: torch.Size) -> Tensor:
    """Return the features (B, *shape) float32 of what `pack` returned."""
    return packed.view(torch.bfloat16).float().view(-1, *shape)


def note_storage(work: Path, stage: str, storage: Storage) -> None:
    """Note the storage of the features of a stage; another one of an earlier session stays in the note."""
    notes = noted_storage(work).get("head_features", {})
    earlier = notes.get(stage, [])
    if storage not in earlier:
        write_checked_json(work / NOTES, notes | {stage: [*earlier, storage.value]})


def noted_storage(work: Path) -> dict[str, dict[str, list[str]]]:
    """Return the provenance of the features: `head_features`, stage -> storages; empty without a stage on a GPU."""
    notes = read_checked_json(work / NOTES)
    return {"head_features": notes} if notes else {}

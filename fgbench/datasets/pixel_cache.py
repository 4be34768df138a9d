"""Cache of preprocessed images: computed once, memory-mapped afterwards."""

import os
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL

from fgbench.datasets.image_reading import ImageError, decoded_image
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.util.checked_rows import CheckedRows, are_complete
from fgbench.util.damaged import is_present, tell
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, remove_leftovers, storage_error
from fgbench.util.hashing import hash_value
from fgbench.util.locks import locked
from fgbench.util.memory import unmap_pages

CHUNK = 64
"""Number of images that are written together, with one checksum."""
READING = 2
"""Version of the conversion of files to RGB. Increase it when the same file gives other pixels."""


class Pixels(Protocol):
    """Images (N, H, W, 3) uint8 that are read by row: an array, or `Rows` of an array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class Rows:
    """Some rows of a memory-mapped array, which are read on access.

    Args:
        images: (M, H, W, 3) uint8, memory-mapped.
        rows: (N,) int64 positions in `images`.
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self._images, self._rows = images, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""
        return (len(self._rows), *self._images.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        images: np.ndarray = self._images[self._rows[which]]  # a copy
        unmap_pages(self._images)
        return images


def pixel_key(index: Index, pipeline: Pipeline) -> str:
    """Return the cache key: hash of image bytes, deterministic steps, boxes (with `crop_box`) and versions."""
    steps = [str(step) for step in pipeline.fixed]
    boxes = index.boxes.tolist() if "crop_box" in steps and index.boxes is not None else None
    return hash_value([index.image_hash, steps, PIL.__version__, READING, *([boxes] if boxes else [])])


def pixel_file(index: Index, pipeline: Pipeline) -> Path:
    """Return the file in which `cached_pixels` keeps the images."""
    return cache_folder() / "pixels" / f"{pixel_key(index, pipeline)}.npy"


def cached_pixels(
    index: Index, pipeline: Pipeline, on_image: Callable[[int, int], object] = lambda done, total: None
) -> np.ndarray:
    """Return the images of an index after the deterministic steps of a pipeline.

    The first call decodes the images on all CPU cores. It continues an interrupted call. Later calls map the file.
    Each process verifies the checksums of the file before it maps it for the first time, which reads the whole file:
    about one second for each gigabyte, or as fast as the disk. Damaged chunks are decoded again.

    Args:
        index: N images.
        pipeline: preprocessing. Its random steps are not applied.
        on_image: function called with (number of decoded images, N) after each image.

    Returns:
        (N, H, W, 3) uint8 RGB, memory-mapped and read-only.

    Raises:
        FgbenchError: an image cannot be decoded, a step does not fit an image, the disk is full, or the cache folder
            cannot be written.
    """
    path = pixel_file(index, pipeline)
    sums = path.with_suffix(".json")
    if not _is_intact(path, len(index), sums):
        hint = "set FGBENCH_CACHE to a folder that you can write, on a disk with enough space"
        with locked(path, hint):
            if not _is_intact(path, len(index), sums):
                try:
                    _build(path, sums, index, pipeline, on_image)
                except OSError as error:
                    raise FgbenchError(storage_error(error, path).args[0], hint) from error
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


_verified: set[tuple[Path, int, int, int, int]] = set()
"""Path, inode, size and times of the files whose checksums this process has verified."""


def _is_intact(path: Path, rows: int, sums: Path) -> bool:
    """Return True if a file is complete and its checksums are right. A process reads each file once for that."""
    try:
        status = path.stat()
    except OSError:
        return False
    stamp = (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if stamp not in _verified and are_complete(path, rows, sums):
        _verified.add(stamp)
    return stamp in _verified


def _build(path: Path, sums: Path, index: Index, pipeline: Pipeline, on_image: Callable[[int, int], object]) -> None:
    """Decode all images into a file; continue where an interrupted call stopped, or where the file is damaged."""
    remove_leftovers(path.parent)
    partial_file = path.with_suffix(".partial")
    if is_present(path):
        is_present(partial_file)  # sets a folder aside
        if not sums.exists():
            tell(f"{path} has no checksums and is computed again.")
        path.replace(partial_file)
    rows = CheckedRows(partial_file, len(index), np.uint8, sums)
    # Check the free disk space.
    size = pipeline.cached_size
    if not rows.done:
        partial_file.unlink(missing_ok=True)
        needed, free = len(index) * size * size * 3, shutil.disk_usage(path.parent).free
        if needed > free:
            raise FgbenchError(
                f"decoded images need {needed / 2**20:.1f} MiB in {path.parent}, but {free / 2**20:.1f} MiB are free",
                "set FGBENCH_CACHE to a folder on a larger disk",
            )
    # Decode in chunks. Each finished chunk is kept with its checksum.
    with ThreadPoolExecutor(os.cpu_count()) as pool, rows:
        for start in range(rows.done, len(index), CHUNK):
            numbers = range(start, min(start + CHUNK, len(index)))
            chunk = np.empty((len(numbers), size, size, 3), np.uint8)
            images = pool.map(lambda row: _decode(index, row, pipeline), numbers)
            for row, image in zip(numbers, images, strict=True):
                chunk[row - start] = image
                on_image(row + 1, len(index))
            rows.append(chunk)
    # The file gets its final name when it is complete.
    partial_file.replace(path)


def _decode(index: Index, row: int, pipeline: Pipeline) -> np.ndarray:
    """Decode one image; errors name its file."""
    file = index.path(index.files[row])
    try:
        with decoded_image(file) as image:
            return pipeline.decode(image.rgb, None if index.boxes is None else index.boxes[row])
    except ImageError as error:
        error.hint = f"fgbench data check {shlex.quote(index.name)}"
        raise
    except FgbenchError as error:
        raise FgbenchError(f"{file}: {error.args[0]}", error.hint) from error

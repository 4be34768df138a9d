"""Cache of preprocessed images: computed once, memory-mapped afterwards."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
from filelock import FileLock
from PIL import Image

from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, write_text
from fgbench.util.hashing import hash_value
from fgbench.util.memory import unmap_pages

CHUNK = 256
"""Number of images between two updates of the progress file. An interruption loses at most this many images."""


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
    """Return the cache key: hash of image bytes, deterministic steps, boxes (with `crop_box`) and Pillow version."""
    steps = [str(step) for step in pipeline.fixed]
    boxes = index.boxes.tolist() if "crop_box" in steps and index.boxes is not None else None
    return hash_value([index.image_hash, steps, PIL.__version__, *([boxes] if boxes else [])])


def cached_pixels(
    index: Index, pipeline: Pipeline, on_image: Callable[[int, int], object] = lambda done, total: None
) -> np.ndarray:
    """Return the images of an index after the deterministic steps of a pipeline.

    The first call decodes the images on all CPU cores. It continues an interrupted call. Later calls map the file.

    Args:
        index: N images.
        pipeline: preprocessing. Its random steps are not applied.
        on_image: function called with (number of decoded images, N) after each image.

    Returns:
        (N, H, W, 3) uint8 RGB, memory-mapped and read-only.

    Raises:
        FgbenchError: an image cannot be decoded, a step does not fit an image, or the disk is full.
    """
    size = pipeline.cached_size
    shape = (len(index), size, size, 3)
    path = cache_folder() / "pixels" / f"{pixel_key(index, pipeline)}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.is_file():
                _build(path, index, pipeline, shape, on_image)
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def _build(
    path: Path, index: Index, pipeline: Pipeline, shape: tuple[int, ...], on_image: Callable[[int, int], object]
) -> None:
    """Decode all images into a file; continue where an interrupted call stopped."""
    partial_file, progress = path.with_suffix(".partial"), path.with_suffix(".done")
    done = int(progress.read_text()) if progress.is_file() and partial_file.is_file() else 0
    # Check the free disk space.
    if not done:
        needed, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
        if needed > free:
            raise FgbenchError(
                f"decoded images need {needed >> 20} MiB in {path.parent}, but {free >> 20} MiB are free",
                "set FGBENCH_CACHE to a folder on a larger disk",
            )
    # Decode in chunks. The progress file contains the number of decoded images.
    pixels = np.lib.format.open_memmap(partial_file, mode="r+" if done else "w+", dtype=np.uint8, shape=shape)
    store = partial(_store, pixels, index, pipeline)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(done, len(index), CHUNK):
            rows = range(start, min(start + CHUNK, len(index)))
            for row, _ in zip(rows, pool.map(store, rows), strict=True):
                on_image(row + 1, len(index))
            pixels.flush()
            write_text(progress, str(rows.stop))
    # The file gets its final name when it is complete.
    del pixels
    partial_file.replace(path)
    progress.unlink()


def _store(pixels: np.ndarray, index: Index, pipeline: Pipeline, row: int) -> None:
    pixels[row] = _decode(index, row, pipeline)


def _decode(index: Index, row: int, pipeline: Pipeline) -> np.ndarray:
    """Decode one image; errors name its file."""
    file = index.root / index.files[row]
    try:
        with Image.open(file) as image:
            return pipeline.decode(image, None if index.boxes is None else index.boxes[row])
    except FgbenchError as error:
        raise FgbenchError(f"{file}: {error.args[0]}", error.hint) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise FgbenchError(f"{file} cannot be decoded: {error}", f"fgbench data check {index.name}") from error

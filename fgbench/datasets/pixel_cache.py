"""Decoded and resized images, made once and memory-mapped afterwards."""

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
"""Images between two notes of how far the cache is: what an interruption can cost."""


class Pixels(Protocol):
    """What images are read from by row, (N, H, W, 3) uint8: an array, or some rows of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number, height and width of the images, and 3."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Any: ...


class Rows:
    """Some rows of a mapped array, read when they are asked for."""

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self._images, self._rows = images, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self._rows), *self._images.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        images: np.ndarray = self._images[self._rows[which]]  # a copy
        unmap_pages(self._images)
        return images


def pixel_key(index: Index, pipeline: Pipeline) -> str:
    """The cache key: content of the images, deterministic steps with the boxes they cut out, and the decoder."""
    steps = [str(step) for step in pipeline.fixed]
    boxes = index.boxes.tolist() if "crop_box" in steps and index.boxes is not None else None
    return hash_value([index.image_hash, steps, PIL.__version__, *([boxes] if boxes else [])])


def cached_pixels(
    index: Index, pipeline: Pipeline, on_image: Callable[[int, int], object] = lambda done, total: None
) -> np.ndarray:
    """The images of `index` after the deterministic steps of `pipeline`.

    The first call decodes (on all cores, and goes on where an interrupted call stopped); later calls map the file.

    Args:
        index: the images, in the order of the result's rows.
        pipeline: the random steps are not applied here.
        on_image: called with (images done, images in all) as decoding goes on.

    Returns:
        (N, H, W, 3) uint8 RGB, memory-mapped and read-only.

    Raises:
        FgbenchError: an image does not decode or a step does not fit it (by name), or the disk has no room.
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
    unfinished, progress = path.with_suffix(".partial"), path.with_suffix(".done")
    done = int(progress.read_text()) if progress.is_file() and unfinished.is_file() else 0
    if not done:
        needed, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
        if needed > free:
            raise FgbenchError(
                f"decoded images need {needed >> 20} MiB under {path.parent}, {free >> 20} MiB are free",
                "point FGBENCH_CACHE at a larger disk",
            )
    pixels = np.lib.format.open_memmap(unfinished, mode="r+" if done else "w+", dtype=np.uint8, shape=shape)
    store = partial(_store, pixels, index, pipeline)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(done, len(index), CHUNK):
            rows = range(start, min(start + CHUNK, len(index)))
            for row, _ in zip(rows, pool.map(store, rows), strict=True):
                on_image(row + 1, len(index))
            pixels.flush()
            write_text(progress, str(rows.stop))
    del pixels
    unfinished.replace(path)
    progress.unlink()


def _store(pixels: np.ndarray, index: Index, pipeline: Pipeline, row: int) -> None:
    pixels[row] = _decode(index, row, pipeline)


def _decode(index: Index, row: int, pipeline: Pipeline) -> np.ndarray:
    file = index.root / index.files[row]
    try:
        with Image.open(file) as image:
            return pipeline.decode(image, None if index.boxes is None else index.boxes[row])
    except FgbenchError as error:
        raise FgbenchError(f"{file}: {error.args[0]}", error.hint) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise FgbenchError(f"{file} does not decode: {error}", f"fgbench data check {index.name}") from error

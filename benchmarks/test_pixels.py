"""Decoding into the pixel cache, compared with Pillow, and drawing of synthetic birds, on all cores.

The gain of two cores depends on the machine; two hardware threads of one core give about 1.3. Pillow in a pool of
threads shows the gain. The number of busy cores is measured, too.
"""

import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from race import FGBENCH, Race

from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.datasets.synthetic.birds import SyntheticBirds, generate

CORES = os.cpu_count() or 1
IMAGES, WIDTH, HEIGHT = 96, 500, 400
STEPS = "resize_short(448) | center_crop(448)"
PILLOW, THREADS = "Pillow one by one", "Pillow in a pool of threads"


@cache
def photographs():
    """Return JPEG files of smooth noise, which have the usual size of CUB images and compress like photographs."""
    root, rng = Path(tempfile.mkdtemp(prefix="fgbench-photographs-")), np.random.default_rng(0)
    for number in range(IMAGES):
        coarse = rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        image.save(root / f"{number:03d}.jpg", quality=90)
    files = tuple(sorted(path.name for path in root.iterdir()))
    zeros = np.zeros(IMAGES, dtype=np.int64)
    return Index("photographs", root, np.arange(IMAGES), files, zeros, zeros > 0, ("one",))


def fgbench_entrant():
    index, pipeline, cache_folder = photographs(), Pipeline.parse(STEPS), tempfile.mkdtemp(prefix="fgbench-cache-")

    def work():
        """Fill an empty cache; return the pixels and the number of busy cores."""
        shutil.rmtree(cache_folder)
        previous, os.environ["FGBENCH_CACHE"] = os.environ.get("FGBENCH_CACHE"), cache_folder
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        try:
            pixels = cached_pixels(index, pipeline)
        finally:
            del os.environ["FGBENCH_CACHE"]
            if previous is not None:
                os.environ["FGBENCH_CACHE"] = previous
        return pixels, (time.process_time() - cpu_s) / (time.perf_counter() - wall_s)

    return work


def decoded(file):
    with Image.open(photographs().root / file) as image:
        scale = 448 / min(image.size)
        size = tuple(round(side * scale) for side in image.size)
        resized = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    left, top = ((side - 448) // 2 for side in size)
    return np.asarray(resized.crop((left, top, left + 448, top + 448)))


def pillow():
    files = photographs().files
    return lambda: (np.stack([decoded(file) for file in files]), 1.0)


def pillow_in_threads():
    files, pool = photographs().files, ThreadPoolExecutor(CORES)
    return lambda: (np.stack(list(pool.map(decoded, files))), 1.0)


def agree(result, peer_result):
    assert result[0].shape == peer_result[0].shape
    assert np.abs(result[0].astype(int) - peer_result[0].astype(int)).mean() < 1


DECODE = Race(
    f"decode and resize {IMAGES} images to 448 x 448, all cores",
    {FGBENCH: fgbench_entrant, PILLOW: pillow, THREADS: pillow_in_threads},
    at_least={PILLOW: 1.2, THREADS: 0.7},
    values=lambda result: {"cores_busy": result[1]},
    values_at_least={"cores_busy": 0.8 * CORES},
    agree=agree,
    rounds=3,
    threads=CORES,
)


@pytest.mark.parametrize("who", DECODE.names)
def test_decoding(row, who):
    row(DECODE, who)


def birds(workers):
    def prepare():
        folder = tempfile.mkdtemp(prefix="fgbench-birds-")

        def work():
            shutil.rmtree(folder)
            settings = SyntheticBirds(classes=20, train_per_class=10, test_per_class=10)
            return generate(Path(folder), settings, workers=workers)

        return work

    return prepare


DRAW = Race(
    "draw 400 synthetic birds, all cores",
    {FGBENCH: birds(None), "one process": birds(1)},
    at_least={"one process": 1.1},
    rounds=1,
    threads=CORES,
    warm=False,
)


@pytest.mark.parametrize("who", DRAW.names)
def test_drawing(row, who):
    row(DRAW, who)

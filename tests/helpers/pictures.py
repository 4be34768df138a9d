"""Small images for the data sets of tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def photo(path: Path, size: tuple[int, int], seed: int) -> None:
    """Write a JPEG file of random pixels with `size` (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path, quality=60)

"""Training images of which some are mirrored, once for all epochs of a stage."""

from typing import Any

import numpy as np
import torch

from fgbench.datasets.pixel_cache import Pixels
from fgbench.util.memory import unmap_pages


class MirroredOnce:
    """Images (N, H, W, 3), each of which is mirrored with probability 1/2. The draw is made once.

    Args:
        pixels: (N, H, W, 3) uint8.
        draw: generator of the choice.
    """

    def __init__(self, pixels: Pixels, draw: torch.Generator) -> None:
        self._pixels = pixels
        self._mirrored = (torch.rand(len(pixels), generator=draw) < 0.5).numpy()

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""
        return self._pixels.shape

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """Return one image (H, W, 3), or images (B, H, W, 3) of a slice or of row numbers."""
        images, mirrored = np.array(self._pixels[rows]), self._mirrored[rows]
        unmap_pages(self._pixels)
        return np.where(np.expand_dims(mirrored, (-1, -2, -3)), images[..., ::-1, :], images)

"""A cache on disk for the maps of a frozen network, so that methods on the same images share its forward passes.

Maps after a ReLU are mostly zeros. A file therefore holds a bit mask of the other elements, and their exact values.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS, write_atomic

TOLERANCE = 1e-4
"""Allowed rounding error, as a fraction of the largest value of a map."""


class MapCache:
    """Outputs of a network by the hash of the image.

    Args:
        folder: Folder of one network with one set of weights up to one tap.
        compute: Maps images (B, 3, H, W) uint8 to (B, C, h, w) or (B, C) float32, each image independently.
        on_recall: Receives, for each batch, the number of images whose output an earlier object computed.
    """

    def __init__(
        self,
        folder: Path,
        compute: Callable[[Tensor], Tensor],
        on_recall: Callable[[int], object] = lambda images: None,
    ) -> None:
        self._folder, self._compute, self._on_recall = folder, compute, on_recall
        self._computed: set[str] = set()  # names of the images that this object computed
        self._verified = False

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) uint8 to (B, C, h, w), channels last in memory, or to (B, C).

        The first recalled output is verified by a forward pass.

        Raises:
            FgbenchError: The cached output differs from that of the network.
        """
        # Read the cached outputs, and verify the first one of an earlier object.
        names = [_name(image) for image in images]
        known = {name: values for name in dict.fromkeys(names) if (values := _read(self._path(name))) is not None}
        recalled = [row for row, name in enumerate(names) if name in known and name not in self._computed]
        if recalled and not self._verified:
            self._verify(images[recalled[:1]], known[names[recalled[0]]])
        # Compute and store the other outputs; repeated images only once.
        missing = {name: row for row, name in enumerate(names) if name not in known}
        if missing:
            computed = _channels_last(self._compute(images[list(missing.values())]))
            for name, values in zip(missing, computed, strict=True):
                known[name] = values
                self._write(name, values)
        self._on_recall(len(recalled))
        stacked = torch.from_numpy(np.stack([known[name] for name in names]))  # (B, h, w, C) or (B, C)
        return stacked.permute(0, 3, 1, 2) if stacked.ndim == 4 else stacked

    def _verify(self, image: Tensor, cached: np.ndarray | None) -> None:
        """Compare a cached output with the network; other code or another version of torch may have computed it."""
        (expected,) = _channels_last(self._compute(image))
        if (
            cached is None
            or cached.shape != expected.shape
            or not np.allclose(cached, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
        ):
            raise FgbenchError(
                f"the maps in {self._folder} differ from the output of the network", f"rm -r {self._folder}"
            )
        self._verified = True

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name[2:]}.npz"

    def _write(self, name: str, values: np.ndarray) -> None:
        self._computed.add(name)
        mask = values != 0
        with suppress(FgbenchError):  # the disk is full: the map is computed again next time
            write_atomic(
                self._path(name),
                lambda path: np.savez(path, shape=values.shape, mask=np.packbits(mask), values=values[mask]),
            )


def _name(image: Tensor) -> str:
    """Return a hash of the pixels and the shape of an image (3, H, W)."""
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return hashlib.blake2b(
        pixels.data, digest_size=16, person=f"{pixels.shape[0]}x{pixels.shape[1]}".encode()
    ).hexdigest()


def _channels_last(maps: Tensor) -> np.ndarray:
    """Return maps (B, C, h, w) as (B, h, w, C); vectors (B, C) stay."""
    return np.ascontiguousarray((maps.permute(0, 2, 3, 1) if maps.ndim == 4 else maps).numpy())


def _read(path: Path) -> np.ndarray | None:
    """Return the output in a file; None if the file is missing or damaged."""
    try:
        with np.load(path) as file:
            shape, mask, values = file["shape"], file["mask"], file["values"]
        full = np.zeros(shape, np.float32)
        full[np.unpackbits(mask, count=full.size).reshape(full.shape).astype(bool)] = values
    except DAMAGED_ARRAYS:
        return None
    return full

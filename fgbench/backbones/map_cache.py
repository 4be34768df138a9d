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

from fgbench.util.damaged import read_npz, set_aside
from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS, remove_leftovers, write_atomic

TOLERANCE = 1e-4
"""Allowed rounding error, as a fraction of the largest value of a map."""
BF16_TOLERANCE = 0.05
"""The same for a network in bfloat16, whose sums are rounded to 8 bits: another library may add in another order."""


class MapCache:
    """Outputs of a network by the hash of the image.

    Args:
        folder: Folder of one network with one set of weights up to one tap.
        compute: Maps images (B, 3, H, W) uint8 to (B, C, h, w) or (B, C) float32, each image independently.
        on_recall: Receives, for each batch, the number of images whose output an earlier object computed.
        tolerance: Allowed rounding error of stored outputs, as a fraction of the largest value of a map.
    """

    def __init__(
        self,
        folder: Path,
        compute: Callable[[Tensor], Tensor],
        on_recall: Callable[[int], object] = lambda images: None,
        tolerance: float = TOLERANCE,
    ) -> None:
        self._folder, self._compute, self._on_recall, self._tolerance = folder, compute, on_recall, tolerance
        self._computed: set[str] = set()  # names of the images that this object computed
        self._shapes: dict[torch.Size, tuple[int, ...]] = {}  # of the output by that of the image, once verified
        self._told = False
        for part in folder.glob("??"):
            remove_leftovers(part)

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) uint8 to (B, C, h, w), channels last in memory, or to (B, C).

        The first recalled output of each image size is verified by a forward pass. A damaged file, or one of another
        shape, is set aside, and its output is computed again.

        Raises:
            FgbenchError: The cached output differs from that of the network.
        """
        # Read the cached outputs, and verify the first one of an earlier object.
        names = [_name(image) for image in images]
        known = {name: values for name in dict.fromkeys(names) if (values := self._read(name)) is not None}
        recalled = [row for row, name in enumerate(names) if name in known and name not in self._computed]
        if recalled and images.shape[2:] not in self._shapes:
            self._verify(images, names, recalled, known)
        recalled = [row for row in recalled if self._fits(names[row], known, images.shape[2:])]
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

    def _verify(self, images: Tensor, names: list[str], rows: list[int], known: dict[str, np.ndarray]) -> None:
        """Compare a cached output with the network; other code or another version of torch may have computed it."""
        (expected,) = _channels_last(self._compute(images[rows[:1]]))
        self._shapes[images.shape[2:]] = expected.shape
        cached = known[names[rows[0]]]
        if cached.shape == expected.shape and not np.allclose(
            cached, expected, rtol=0, atol=self._tolerance * np.abs(expected).max()
        ):
            raise FgbenchError(
                f"the maps in {self._folder} differ from the output of the network", f"rm -r {self._folder}"
            )

    def _fits(self, name: str, known: dict[str, np.ndarray], size: torch.Size) -> bool:
        """Return True if a cached output has the right shape; else forget it."""
        if name in known and known[name].shape != self._shapes[size]:
            del known[name]
            self._set_aside(self._path(name), "its shape is wrong")
        return name in known

    def _read(self, name: str) -> np.ndarray | None:
        """Return the cached output of an image; None if there is none. A damaged file is set aside."""
        path = self._path(name)
        try:
            return _decoded(read_npz(path), name)
        except FileNotFoundError:
            return None
        except DAMAGED_ARRAYS as error:
            self._set_aside(path, f"it cannot be read: {error}")
        return None

    def _set_aside(self, path: Path, reason: str) -> None:
        with suppress(FgbenchError):  # the folder is read-only: the output is computed each time
            set_aside(path, reason, quiet=self._told)
            self._told = True

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name[2:]}.npz"

    def _write(self, name: str, values: np.ndarray) -> None:
        self._computed.add(name)
        mask, image = values != 0, np.frombuffer(bytes.fromhex(name), np.uint8)
        with suppress(FgbenchError):  # the disk is full: the map is computed again next time
            write_atomic(
                self._path(name),
                lambda path: np.savez(
                    path, image=image, shape=values.shape, mask=np.packbits(mask), values=values[mask]
                ),
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


def _decoded(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the output of an image from the arrays of its file.

    They are `shape`, `mask` and `values` of the elements that are not 0, and `image`, the hash of the image. Older
    files have no `image`.

    Raises:
        ValueError: The arrays do not fit together, or belong to another image.
    """
    shape, mask, values = arrays["shape"], arrays["mask"], arrays["values"]
    count = int(np.prod(shape))
    if "image" in arrays and arrays["image"].tobytes().hex() != name:
        raise ValueError("it belongs to another image")
    if values.dtype != np.float32 or not 0 < count <= 8 * mask.size:
        raise ValueError("its arrays do not fit together")
    full = np.zeros(shape, np.float32)
    present = np.unpackbits(mask, count=count).reshape(full.shape).astype(bool)
    if values.shape != (np.count_nonzero(present),):
        raise ValueError("its arrays do not fit together")
    full[present] = values
    return full

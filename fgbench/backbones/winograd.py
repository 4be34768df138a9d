"""Convolutions of 3 x 3 without gradients on a CPU, by the algorithm of Winograd for tiles of 4 x 4 outputs.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), F(4 x 4, 3 x 3). A tile needs
36 products for each pair of channels instead of 144. The transforms of tiles are matrix products, so that all work is
done by the BLAS of torch. The results differ from those of the direct algorithm by about 3e-6 of their norm.
"""

from collections.abc import MutableMapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import is_in_torch_dispatch_mode
from torch.utils.weak import WeakIdKeyDictionary

TILE = 4
"""Side of a tile of outputs."""
PATCH = TILE + 2
"""Side of the inputs of a tile."""
MIN_CHANNELS = 128
"""Fewest input and output channels. With fewer, the transforms take longer than the products save."""
MIN_TILES = 48
"""Fewest tiles in a call. With fewer, reading the transformed weights takes longer than the products save."""
BLOCK_TILES = 196
"""Number of tiles whose transformed inputs are computed at a time, so that they stay in the cache of the processor."""
INPUT = torch.tensor(
    [
        [4.0, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
"""Transform of the 6 inputs of a tile in one direction."""
KERNEL = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
"""Transform of the 3 weights of a kernel in one direction."""
OUTPUT = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
"""Transform of the 6 products to the 4 outputs of a tile in one direction."""
INPUT_2D, OUTPUT_2D = torch.kron(INPUT, INPUT), torch.kron(OUTPUT, OUTPUT)
"""The transforms in both directions, (36, 36) and (16, 36)."""


def winograd_weights(weight: Tensor) -> Tensor:
    """Return the transformed weights (36, C, D) of kernels (D, C, 3, 3), computed in float64."""
    kernel = KERNEL.double()
    transformed = torch.einsum("ij,dcjk,lk->ilcd", kernel, weight.double(), kernel)
    return transformed.reshape(PATCH * PATCH, *transformed.shape[2:]).to(weight.dtype)


def winograd_conv2d(x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """Return a convolution with kernels of 3 x 3, stride 1 and padding 1.

    Args:
        x: (B, C, H, W) float32.
        weights: (36, C, D) from `winograd_weights`.
        bias: (D,); None for zero.

    Returns:
        (B, D, H, W) float32, channels last in memory.
    """
    batch, channels, height, width = x.shape
    outputs, rows, columns = weights.shape[2], -(-height // TILE), -(-width // TILE)
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1 + columns * TILE - width, 1, 1 + rows * TILE - height))
    image_step, y_step, x_step, _ = padded.stride()
    out = x.new_empty(batch, rows * TILE, columns * TILE, outputs)
    shift = x.new_zeros(outputs) if bias is None else bias
    # A block is some rows of tiles of one image, or some small images.
    block_rows = min(rows, -(-BLOCK_TILES // columns))
    block_images = max(1, BLOCK_TILES // (rows * columns))
    for first in range(0, batch, block_images):
        images = min(block_images, batch - first)
        for top in range(0, rows, block_rows):
            height_in_tiles = min(block_rows, rows - top)
            tiles = images * height_in_tiles * columns
            patches = padded[first : first + images, top * TILE :].as_strided(
                (PATCH, PATCH, images, height_in_tiles, columns, channels),
                (y_step, x_step, image_step, TILE * y_step, TILE * x_step, 1),
            )
            transformed = (INPUT_2D @ patches.reshape(PATCH * PATCH, -1)).view(-1, tiles, channels)
            products = torch.bmm(transformed, weights).view(PATCH * PATCH, -1)
            values = (OUTPUT_2D @ products).view(TILE, TILE, images, height_in_tiles, columns, outputs)
            part = out[first : first + images, top * TILE : (top + height_in_tiles) * TILE]
            part = part.view(images, height_in_tiles, TILE, columns, TILE, outputs)
            torch.add(values.permute(2, 3, 0, 4, 1, 5), shift, out=part)
    return out[:, :height, :width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


class FastConvolutions(TorchFunctionMode):
    """A context in which the convolutions of a network use the algorithm where it is faster.

    It keeps the transformed weights of the layers, 4 times the memory of the weights, until their next change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: MutableMapping[Tensor, tuple[int, Tensor]] = WeakIdKeyDictionary()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function of torch; a convolution that `_is_faster` accepts by the algorithm of Winograd."""
        if func is F.conv2d and not kwargs and len(args) == 7 and _is_faster(*args):
            x, weight, bias = args[:3]
            return winograd_conv2d(x, self._weights(weight), bias)
        return func(*args, **(kwargs or {}))

    def _weights(self, weight: Tensor) -> Tensor:
        if weight not in self._kept or self._kept[weight][0] != weight._version:
            self._kept[weight] = weight._version, winograd_weights(weight.detach())
        return self._kept[weight][1]


def _is_faster(x: Tensor, weight: Tensor, bias: Tensor | None, *options: Any) -> bool:
    """Return True for a layer of 3 x 3 in float32 on a CPU that keeps the size and is large enough."""
    outputs, channels, *kernel = weight.shape
    tiles = len(x) * -(-x.shape[-2] // TILE) * -(-x.shape[-1] // TILE) if x.ndim == 4 else 0
    return (
        kernel == [3, 3]
        and options == ((1, 1), (1, 1), (1, 1), 1)
        and min(outputs, channels) >= MIN_CHANNELS
        and tiles >= MIN_TILES
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not is_in_torch_dispatch_mode()  # operations are counted for the direct algorithm
        and not weight.is_inference()
    )

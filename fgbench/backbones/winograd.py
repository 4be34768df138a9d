"""Convolutions of 3 x 3 on a CPU, by the algorithm of Winograd for tiles of 4 x 4 outputs.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), F(4 x 4, 3 x 3). A tile needs
36 products for each pair of channels instead of 144. The transforms of tiles are matrix products, so that all work is
done by the BLAS of torch. The results differ from those of the direct algorithm by about 3e-6 of their norm.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4
"""Side of a tile of outputs."""
PATCH = TILE + 2
"""Side of the inputs of a tile."""
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
INPUT_2D, KERNEL_2D, OUTPUT_2D = (torch.kron(one, one) for one in (INPUT, KERNEL, OUTPUT))
"""The transforms in both directions, (36, 36), (36, 9) and (16, 36)."""


def winograd_weights(weight: Tensor) -> Tensor:
    """Return the transformed weights (36, C, D) of kernels (D, C, 3, 3), computed in float64."""
    outputs, channels = weight.shape[:2]
    flat = weight.permute(2, 3, 1, 0).reshape(9, -1).double()
    return (KERNEL_2D.double() @ flat).to(weight.dtype).view(-1, channels, outputs)


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
    padded = padded_patches(x)
    shape = batch, outputs, rows * TILE, columns * TILE
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    maps = out.permute(0, 2, 3, 1)
    shift = x.new_zeros(outputs) if bias is None else bias
    for block in blocks_of_tiles(batch, rows, columns):
        patches = block.patches(padded)
        transformed = (INPUT_2D @ patches.reshape(PATCH * PATCH, -1)).view(-1, block.tiles, channels)
        products = torch.bmm(transformed, weights).view(PATCH * PATCH, -1)
        values = (OUTPUT_2D @ products).view(TILE, TILE, block.images, block.rows, columns, outputs)
        torch.add(values.permute(2, 3, 0, 4, 1, 5), shift, out=block.outputs(maps))
    whole = out.shape[2:] == x.shape[2:]  # a result that is a view could not be changed in place in a training
    return out if whole else out[:, :, :height, :width].clone(memory_format=torch.channels_last)


def padded_patches(x: Tensor) -> Tensor:
    """Return x (B, C, H, W) with a border of zeros as (B, H', W', C): 1 before, and 1 and the rest of a tile after."""
    height, width = x.shape[2:]
    return F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1 + -width % TILE, 1, 1 + -height % TILE))


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of tiles of one image, or all tiles of some small images."""

    first: int
    """Number of its first image."""
    images: int
    top: int
    """Number of its first row of tiles."""
    rows: int
    columns: int
    """Number of tiles in a row."""

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.images * self.rows * self.columns

    def patches(self, padded: Tensor) -> Tensor:
        """Return the inputs of the tiles, (6, 6, images, rows, columns, C), of what `padded_patches` returned."""
        image_step, y_step, x_step, _ = padded.stride()
        return padded[self.first : self.first + self.images, self.top * TILE :].as_strided(
            (PATCH, PATCH, self.images, self.rows, self.columns, padded.shape[3]),
            (y_step, x_step, image_step, TILE * y_step, TILE * x_step, 1),
        )

    def outputs(self, maps: Tensor) -> Tensor:
        """Return the tiles (images, rows, 4, columns, 4, D) of maps (B, H', W', D) of whole tiles, as a view."""
        part = maps[self.first : self.first + self.images, self.top * TILE : (self.top + self.rows) * TILE]
        return part.view(self.images, self.rows, TILE, self.columns, TILE, maps.shape[3])


def blocks_of_tiles(batch: int, rows: int, columns: int) -> Iterator[Block]:
    """Yield the blocks of a batch of images with `rows` x `columns` tiles each."""
    block_rows = min(rows, -(-BLOCK_TILES // columns))
    block_images = max(1, BLOCK_TILES // (rows * columns))
    for first in range(0, batch, block_images):
        for top in range(0, rows, block_rows):
            yield Block(first, min(block_images, batch - first), top, min(block_rows, rows - top), columns)

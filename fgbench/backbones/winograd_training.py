"""Convolutions of 3 x 3 with gradients on a CPU by the algorithm of Winograd.

Source: Lavin and Gray (CVPR 2016), section 4: the gradient of the input is a convolution with the rotated kernels, and
that of the kernels a sum of products over the tiles of the input and of the output.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fgbench.backbones.winograd import (
    INPUT_2D,
    KERNEL_2D,
    OUTPUT_2D,
    PATCH,
    TILE,
    blocks_of_tiles,
    padded_patches,
    winograd_conv2d,
    winograd_weights,
)


class WinogradConvolution(torch.autograd.Function):
    """A convolution with kernels of 3 x 3, stride 1 and padding 1, of which the gradients are computed, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the output (B, D, H, W) for x (B, C, H, W), weight (D, C, 3, 3) and bias (D,)."""
        ctx.save_for_backward(x, weight)
        return winograd_conv2d(x, winograd_weights(weight), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients of x, weight and bias."""
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        rotated = winograd_weights(weight.flip(2, 3).transpose(0, 1)) if needs_x else None
        return (
            None if rotated is None else winograd_conv2d(gradient, rotated, None),
            winograd_kernel_gradient(x, gradient) if needs_weight else None,
            gradient.sum((0, 2, 3)) if needs_bias else None,
        )


def winograd_kernel_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient (D, C, 3, 3) of the kernels of a convolution with padding 1.

    Args:
        x: (B, C, H, W) float32, the input.
        gradient: (B, D, H, W) float32, the gradient of the output.
    """
    batch, channels, height, width = x.shape
    outputs, rows, columns = gradient.shape[1], -(-height // TILE), -(-width // TILE)
    padded = padded_patches(x)
    tiled = F.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, columns * TILE - width, 0, rows * TILE - height))
    products = x.new_zeros(PATCH * PATCH, channels, outputs)
    back = OUTPUT_2D.t().contiguous()
    for block in blocks_of_tiles(batch, rows, columns):
        patches, tiles = block.patches(padded), block.tiles
        inputs = (INPUT_2D @ patches.reshape(PATCH * PATCH, -1)).view(-1, tiles, channels)
        part = block.outputs(tiled).permute(2, 4, 0, 1, 3, 5)  # (4, 4, images, rows, columns, D)
        outer = (back @ part.reshape(TILE * TILE, -1)).view(-1, tiles, outputs)
        products.baddbmm_(inputs.transpose(1, 2), outer)
    kernels = KERNEL_2D.t() @ products.view(PATCH * PATCH, -1)  # (9, C * D)
    return kernels.view(3, 3, channels, outputs).permute(3, 2, 0, 1).contiguous()

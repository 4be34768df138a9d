"""Convolutions that are large enough for the algorithm of Winograd, with random values."""

import torch
from torch import Tensor

SHAPES = [
    (1, 128, 28, 28, 128),
    (2, 130, 27, 33, 140),
    (3, 128, 14, 14, 256),
    (20, 128, 7, 9, 128),
    (1, 128, 5, 300, 128),
]
"""Images, input channels, height, width and output channels."""


def drawn(batch: int, channels: int, height: int, width: int, outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return an input, kernels, a bias, and the gradient of the output."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, channels, height, width, generator=generator)
    weight = torch.randn(outputs, channels, 3, 3, generator=generator) * (2 / (9 * channels)) ** 0.5
    bias = torch.randn(outputs, generator=generator)
    return x, weight, bias, torch.randn(batch, outputs, height, width, generator=generator)

"""Dense SIFT: VLFeat's `vl_dsift`, by default with its option `fast` (Vedaldi and Fulkerson, VLFeat 2008)."""

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.precision import full_precision

BINS = 4
"""Spatial bins along a side of a descriptor."""
ORIENTATIONS = 8
"""Orientation bins."""
WINDOW = 2.0
"""Standard deviation of the Gaussian window in spatial bins."""
CLAMP = 0.2
"""Upper limit of the values of a descriptor of unit length."""
Window = Literal["flat", "gaussian"]
"""Weight of a gradient by its distance from the centre of a descriptor: a Gaussian at each pixel, or its mean over each
bin, which VLFeat calls flat."""


def dense_sift_grid(height: int, width: int, *, bin_size: int = 8, step: int = 4) -> tuple[Tensor, Tensor]:
    """Compute the centres of the descriptors of `dense_sift`.

    The centres of the outermost bins lie inside the image. Where a bin extends beyond the border, the gradient at the
    border is repeated.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        bin_size: side of one of the 4 x 4 spatial bins in pixels.
        step: pixels between descriptors.

    Returns:
        Row coordinates (R,) and column coordinates (C,) in pixels; 0 is the centre of the first pixel.

    Raises:
        ArgumentError: the image is smaller than a descriptor.

    Example:
        >>> dense_sift_grid(29, 33)
        (tensor([12., 16.]), tensor([12., 16., 20.]))
    """
    reach = (BINS - 1) * bin_size
    if min(height, width) <= reach:
        raise ArgumentError(
            f"an image of {width} x {height} px is too small for dense SIFT with bins of {bin_size} px",
            f"use images of more than {reach} px",
        )
    rows, columns = (torch.arange(0, side - reach, step) + reach / 2 for side in (height, width))
    return rows, columns


@full_precision
def dense_sift(
    images: Tensor, *, bin_size: int = 8, step: int = 4, window: Window = "flat", smoothing: float = 0.0
) -> Tensor:
    """Compute SIFT descriptors on a regular grid.

    Args:
        images: (B, H, W) grey, any floating-point dtype.
        bin_size: side of one of the 4 x 4 spatial bins in pixels.
        step: pixels between descriptors.
        window: `flat` is `vl_dsift` with `fast`, `gaussian` without it.
        smoothing: standard deviation in pixels of a Gaussian that smooths the images first; 0 for none, as `vl_dsift`.

    Returns:
        (B, N, 128), N the points of `dense_sift_grid` row by row. In a descriptor the orientation varies fastest, then
        the column of the bin, then its row. Values are clamped at 0.2 and the length is one; a descriptor of a uniform
        region is zero.

    Raises:
        ArgumentError: the images are not (B, H, W), or are smaller than a descriptor.

    Example:
        >>> import torch
        >>> dense_sift(torch.rand(1, 29, 33)).shape
        torch.Size([1, 6, 128])
    """
    if images.dim() != 3:
        raise ArgumentError(f"images have the shape {tuple(images.shape)}, not (B, H, W)")
    batch, height, width = images.shape
    if images.device.type == "cpu" and batch > 1:  # one image at a time stays in the cache
        of_one = partial(dense_sift, bin_size=bin_size, step=step, window=window, smoothing=smoothing)
        return torch.cat([of_one(image[None]) for image in images])
    rows, columns = (len(centres) for centres in dense_sift_grid(height, width, bin_size=bin_size, step=step))
    pitch = math.gcd(bin_size, step)
    gradients = _orientation_maps(_smoothed(images, smoothing) if smoothing else images)  # (B, 8, H, W)
    padded = F.pad(gradients, (bin_size - 1,) * 4, mode="replicate")
    maps = (_flat_sums if window == "flat" else _gaussian_sums)(padded, bin_size, pitch)  # (B, 8, h, w) for each bin
    hop, stride = bin_size // pitch, step // pitch
    # The map of each bin is shifted by whole bins: (B, 8, rows, columns).
    parts = [
        maps[r][c][:, :, r * hop :: stride, c * hop :: stride][:, :, :rows, :columns]
        for r in range(BINS)
        for c in range(BINS)
    ]
    descriptors = torch.stack(parts, dim=1).permute(0, 3, 4, 1, 2).reshape(batch, rows * columns, -1)
    return _unit(_unit(descriptors).clamp(max=CLAMP))


def _orientation_maps(images: Tensor) -> Tensor:
    """Compute (B, 8, H, W): the gradient magnitude, shared linearly between the two nearest of 8 directions."""
    down, right = torch.gradient(images, dim=(1, 2))
    magnitude = torch.hypot(down, right)
    turn = torch.atan2(down, right) * (ORIENTATIONS / (2 * math.pi))
    directions = torch.arange(ORIENTATIONS, dtype=images.dtype, device=images.device)[:, None, None]
    distance = torch.remainder(turn[:, None] - directions + ORIENTATIONS / 2, ORIENTATIONS) - ORIENTATIONS / 2
    return (1 - distance.abs()).clamp(min=0) * magnitude[:, None]


def _summed(maps: Tensor, kernel: Tensor, pitch: int, *, dim: Literal[2, 3]) -> Tensor:
    """Sum maps (B, C, H, W) along one side with the weights `kernel` (K,), around every `pitch`-th pixel."""
    shape, stride = ((1, 1, 1, -1), (1, pitch)) if dim == 3 else ((1, 1, -1, 1), (pitch, 1))
    sums = F.conv2d(maps.flatten(0, 1)[:, None], kernel.view(shape), stride=stride)
    return sums.reshape(*maps.shape[:2], *sums.shape[2:])


def _triangle(maps: Tensor, bin_size: int) -> Tensor:
    """Compute the share of a pixel in a bin by its distance from the centre: (2 * bin_size - 1,)."""
    return 1 - _offsets(bin_size).abs().to(maps) / bin_size


def _weights(bin_size: int) -> Tensor:
    """Compute the Gaussian window at the pixels of each of the four bins: (4, 2 * bin_size - 1) float64."""
    centres = bin_size * (torch.arange(BINS) - (BINS - 1) / 2)
    return torch.exp(-0.5 * ((_offsets(bin_size) + centres[:, None]) / (bin_size * WINDOW)).square())


def _offsets(bin_size: int) -> Tensor:
    return torch.arange(1 - bin_size, bin_size, dtype=torch.float64)


def _flat_sums(maps: Tensor, bin_size: int, pitch: int) -> list[list[Tensor]]:
    """Sum padded maps for each row and column of bins: (B, 8, h, w) around every `pitch`-th pixel.

    The bins have one kernel, a triangle of half-width `bin_size`, and differ in their weights.
    """
    triangle = _triangle(maps, bin_size)
    sums = _summed(_summed(maps, triangle, pitch, dim=3), triangle, pitch, dim=2)
    weights = _weights(bin_size).mean(dim=1).to(maps)
    return [[sums * (weights[r] * weights[c]) for c in range(BINS)] for r in range(BINS)]


def _gaussian_sums(maps: Tensor, bin_size: int, pitch: int) -> list[list[Tensor]]:
    """Do the same with a kernel for each bin, the triangle times the Gaussian window."""
    kernels = _triangle(maps, bin_size) * _weights(bin_size).to(maps)  # (4, 2 * bin_size - 1)
    across = [_summed(maps, kernel, pitch, dim=3) for kernel in kernels]
    return [[_summed(part, kernel, pitch, dim=2) for part in across] for kernel in kernels]


def _smoothed(images: Tensor, sigma: float) -> Tensor:
    """Smooth images (B, H, W) with a Gaussian of `sigma` pixels; pixels at the border are repeated."""
    reach = math.ceil(4 * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel /= kernel.sum()
    padded = F.pad(images[:, None], (reach,) * 4, mode="replicate")
    return _summed(_summed(padded, kernel, 1, dim=3), kernel, 1, dim=2)[:, 0]


def _unit(x: Tensor) -> Tensor:
    """Divide rows (..., D) by their length; rows of zeros stay zero."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.clamp(min=torch.finfo(x.dtype).eps)

"""Dense SIFT with a flat window: VLFeat's `vl_dsift` with the option `fast` (Vedaldi and Fulkerson, VLFeat 2008)."""

import math

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
def dense_sift(images: Tensor, *, bin_size: int = 8, step: int = 4) -> Tensor:
    """Compute SIFT descriptors on a regular grid.

    Args:
        images: (B, H, W) grey, any floating-point dtype.
        bin_size: side of one of the 4 x 4 spatial bins in pixels.
        step: pixels between descriptors.

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
        return torch.cat([dense_sift(image[None], bin_size=bin_size, step=step) for image in images])
    rows, columns = (len(centres) for centres in dense_sift_grid(height, width, bin_size=bin_size, step=step))
    pitch = math.gcd(bin_size, step)
    maps = _bin_sums(_orientation_maps(images), bin_size, pitch)  # (B, 8, h, w)
    hop, stride = bin_size // pitch, step // pitch
    window = _window(bin_size).to(images)
    # Each of the 16 bins is the map of sums shifted by whole bins: (B, 8, rows, columns).
    parts = [
        maps[:, :, r * hop :: stride, c * hop :: stride][:, :, :rows, :columns] * (window[r] * window[c])
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


def _bin_sums(maps: Tensor, bin_size: int, pitch: int) -> Tensor:
    """Sum maps (B, 8, H, W) under a triangle of half-width `bin_size` around every `pitch`-th pixel: (B, 8, h, w)."""
    batch, channels, height, width = maps.shape
    offsets = torch.arange(1 - bin_size, bin_size, dtype=maps.dtype, device=maps.device)
    triangle = 1 - offsets.abs() / bin_size
    pad = bin_size - 1
    flat = F.pad(maps.reshape(batch * channels, 1, height, width), (pad, pad, pad, pad), mode="replicate")
    across = F.conv2d(flat, triangle.view(1, 1, 1, -1), stride=(1, pitch))
    both = F.conv2d(across, triangle.view(1, 1, -1, 1), stride=(pitch, 1))
    return both.reshape(batch, channels, *both.shape[2:])


def _window(bin_size: int) -> Tensor:
    """Compute the mean of the Gaussian window over each of the four bins: (4,)."""
    offsets = torch.arange(1 - bin_size, bin_size, dtype=torch.float64)
    centres = bin_size * (torch.arange(BINS) - (BINS - 1) / 2)
    return torch.exp(-0.5 * ((offsets - centres[:, None]) / (bin_size * WINDOW)).square()).mean(dim=1)


def _unit(x: Tensor) -> Tensor:
    """Divide rows (..., D) by their length; rows of zeros stay zero."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.clamp(min=torch.finfo(x.dtype).eps)

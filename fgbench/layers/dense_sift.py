"""Dense SIFT with a flat window, as `vl_dsift` with the option `fast` (Vedaldi and Fulkerson, VLFeat 2008)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.util.errors import FgbenchError

BINS, ORIENTATIONS = 4, 8
WINDOW = 2.0
"""Deviation of the Gaussian window in spatial bins."""
CLAMP = 0.2


def dense_sift_grid(height: int, width: int, *, bin_size: int = 8, step: int = 4) -> tuple[Tensor, Tensor]:
    """Centres of the descriptors in pixels from the middle of the first: (rows,) and (columns,).

    The outermost bin centres lie on the image; a bin reaches beyond the border, where the gradient is continued.

    Raises:
        FgbenchError: the image is smaller than a descriptor.
    """
    reach = (BINS - 1) * bin_size
    if min(height, width) <= reach:
        raise FgbenchError(f"dense SIFT with bins of {bin_size} px needs more than {reach} px, not {width} x {height}")
    rows, columns = (torch.arange(0, side - reach, step) + reach / 2 for side in (height, width))
    return rows, columns


def dense_sift(images: Tensor, *, bin_size: int = 8, step: int = 4) -> Tensor:
    """SIFT descriptors on a regular grid.

    Args:
        images: (B, H, W) grey, any float type.
        bin_size: side of one of the 4 x 4 spatial bins in pixels.
        step: pixels between descriptors.

    Returns:
        (B, N, 128), N the points of `dense_sift_grid` row by row; in a descriptor the orientation varies fastest, then
        the bin's column, then its row. Unit length after clamping at 0.2; zero where the image is uniform.

    Raises:
        FgbenchError: the images are smaller than a descriptor.
    """
    batch, height, width = images.shape
    if images.device.type == "cpu" and batch > 1:  # an image at a time stays in the cache
        return torch.cat([dense_sift(image[None], bin_size=bin_size, step=step) for image in images])
    rows, columns = (len(centres) for centres in dense_sift_grid(height, width, bin_size=bin_size, step=step))
    pitch = math.gcd(bin_size, step)
    maps = _bin_sums(_orientation_maps(images), bin_size, pitch)
    hop, stride = bin_size // pitch, step // pitch
    window = _window(bin_size).to(images)
    # (B, 8, rows, columns) for each of the 16 bins: the map of sums, shifted by whole bins
    parts = [
        maps[:, :, r * hop :: stride, c * hop :: stride][:, :, :rows, :columns] * (window[r] * window[c])
        for r in range(BINS)
        for c in range(BINS)
    ]
    descriptors = torch.stack(parts, dim=1).permute(0, 3, 4, 1, 2).reshape(batch, rows * columns, -1)
    return _unit(_unit(descriptors).clamp(max=CLAMP))


def _orientation_maps(images: Tensor) -> Tensor:
    """(B, 8, H, W): gradient magnitude shared linearly between the two nearest of 8 directions."""
    down, right = torch.gradient(images, dim=(1, 2))
    magnitude = torch.hypot(down, right)
    turn = torch.atan2(down, right) * (ORIENTATIONS / (2 * math.pi))
    directions = torch.arange(ORIENTATIONS, dtype=images.dtype, device=images.device)[:, None, None]
    away = torch.remainder(turn[:, None] - directions + ORIENTATIONS / 2, ORIENTATIONS) - ORIENTATIONS / 2
    return (1 - away.abs()).clamp(min=0) * magnitude[:, None]


def _bin_sums(maps: Tensor, bin_size: int, pitch: int) -> Tensor:
    """Sums under a triangle of half-width `bin_size` around every `pitch`-th pixel: (B, 8, h, w)."""
    batch, channels, height, width = maps.shape
    offsets = torch.arange(1 - bin_size, bin_size, dtype=maps.dtype, device=maps.device)
    triangle = 1 - offsets.abs() / bin_size
    pad = bin_size - 1
    flat = F.pad(maps.reshape(batch * channels, 1, height, width), (pad, pad, pad, pad), mode="replicate")
    across = F.conv2d(flat, triangle.view(1, 1, 1, -1), stride=(1, pitch))
    both = F.conv2d(across, triangle.view(1, 1, -1, 1), stride=(pitch, 1))
    return both.reshape(batch, channels, *both.shape[2:])


def _window(bin_size: int) -> Tensor:
    """Mean of the Gaussian window over each of the four bins: (4,)."""
    offsets = torch.arange(1 - bin_size, bin_size, dtype=torch.float64)
    centres = bin_size * (torch.arange(BINS) - (BINS - 1) / 2)
    return torch.exp(-0.5 * ((offsets - centres[:, None]) / (bin_size * WINDOW)).square()).mean(dim=1)


def _unit(x: Tensor) -> Tensor:
    """Rows divided by their length; rows of zeros stay zero."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length.clamp(min=torch.finfo(x.dtype).eps)

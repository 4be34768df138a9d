"""Attention-based image sampling (TASN: Zheng, Fu, Zha and Luo, CVPR 2019).

The sampler treats columns and rows independently. The density of an axis is the maximum of the attention over the
other axis. Samples lie at equal steps of the integral of the density, and are therefore dense where attention is large.
"""

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from fgbench.util.errors import ArgumentError, nearest
from fgbench.util.numeric.deterministic import running_sum
from fgbench.util.numeric.devices import check_values

Reading = Literal["paper", "code"]

CLIP_ROUNDS = 5
"""Number of times that the official code clips the densities and redistributes the clipped mass."""


class Coordinates(NamedTuple):
    """Sampling coordinates in pixels of the image; 0 is the centre of the first pixel.

    Attributes:
        x: (B, size) float64, column coordinates, non-decreasing in each image.
        y: (B, size) float64, row coordinates, non-decreasing in each image.
    """

    x: Tensor
    y: Tensor


def attention_sample(
    images: Tensor,
    attention: Tensor,
    size: int,
    *,
    reading: Reading = "paper",
    squared: bool = False,
    magnification: float = 4.0,
) -> Tensor:
    """Resample images so that regions of high attention are magnified.

    Values between pixels are interpolated bilinearly. The gradient reaches the images and never the attention, as in
    the official code.

    Args:
        images: (B, C, H, W), floating point.
        attention: (B, h, w), non-negative. An image whose attention is zero everywhere is sampled uniformly.
        size: side of the result in pixels.
        reading: see `sampling_coordinates`.
        squared: see `sampling_coordinates`.
        magnification: see `sampling_coordinates`.

    Returns:
        (B, C, size, size), with the dtype of the images.

    Raises:
        ArgumentError: the images are not (B, C, H, W) or not floating point, the number of maps differs from the number
            of images, or `sampling_coordinates` raises.

    Example:
        All attention is in the right half, so that all samples are.

        >>> import torch
        >>> images = torch.tensor([[[[0.0, 1.0, 2.0, 3.0]]]])
        >>> attention_sample(images, torch.tensor([[[0.0, 1.0]]]), 2).tolist()
        [[[[2.0, 3.0], [2.0, 3.0]]]]
    """
    if images.dim() != 4 or not images.numel() or not images.is_floating_point():
        raise ArgumentError(
            f"cannot sample from images of shape {tuple(images.shape)} and type {images.dtype}",
            "give floating-point images (B, C, H, W)",
        )
    if attention.shape[:1] != images.shape[:1]:
        raise ArgumentError(
            f"attention {tuple(attention.shape)} does not fit images {tuple(images.shape)}",
            "give one map (h, w) per image",
        )
    height, width = images.shape[2:]
    coordinates = sampling_coordinates(
        attention, size, height, width, reading=reading, squared=squared, magnification=magnification
    )
    return _interpolate(images, coordinates.x, coordinates.y)


@torch.no_grad()
def sampling_coordinates(
    attention: Tensor,
    size: int,
    height: int,
    width: int,
    *,
    reading: Reading = "paper",
    squared: bool = False,
    magnification: float = 4.0,
) -> Coordinates:
    """Compute the columns and rows at which `attention_sample` samples.

    The reading `paper` inverts F_x(n) = sum_{j <= n} max_i A_ij, and F_y likewise. The paper does not define how map
    cells correspond to pixels. Here each cell covers an equal share of the pixels with constant density, and sample i
    of n lies where the integral reaches (i + 1/2) / n of the total, so that constant attention gives the usual bilinear
    resize.

    The reading `code` is the official MXNet operator:

    1. The map is resized to the size of the image with aligned corners.
    2. The densities are clipped.
    3. The integral starts at the first pixel with the mass of one output pixel, whatever the density there.
    4. Sample i lies where the integral reaches i / n of the total.

    The operator reads before the start of its array for samples that fall before the first pixel; here they lie on the
    first pixel. The operator accepts square images only; for other images, densities are relative to the uniform one.

    Args:
        attention: (B, h, w), non-negative. An image whose attention is zero everywhere is sampled uniformly.
        size: number of samples along each axis.
        height: H, height of the image in pixels.
        width: W, width of the image in pixels.
        reading: `paper` or `code`.
        squared: square the attention first; with the reading `code`, after the resize. The official code squares the
            structure map and not the detail map. The paper squares neither.
        magnification: upper limit of the density in the first round of the reading `code`, relative to the uniform
            density; 4 in the official code. Each of the `CLIP_ROUNDS` rounds also clips both axes to the smaller of
            their maxima and redistributes the clipped mass uniformly, so that the final density can slightly exceed
            the limit. The reading `paper` ignores it.

    Returns:
        The coordinates, all inside the image.

    Raises:
        ArgumentError: the attention is not (B, h, w), is negative or is not finite (the values are checked on a CPU;
            see `check_values`); a size, height or width is below 1; the magnification is below 1; or the reading is
            unknown.

    Example:
        The third cell of four is twice as dense as the others: two of the five columns lie in it (pixels 8 to 11).

        >>> import torch
        >>> coordinates = sampling_coordinates(torch.tensor([[[1.0, 1.0, 2.0, 1.0]]]), 5, 16, 16)
        >>> coordinates.x.tolist()
        [[1.5, 5.5, 8.5, 10.5, 13.5]]
    """
    _check(attention, size, height, width, reading, magnification)
    attention = attention.to(torch.promote_types(attention.dtype, torch.float32))
    # Only ratios matter. Division by the maximum keeps the square within the range of the dtype.
    attention = attention / attention.amax((1, 2), keepdim=True).clamp(min=torch.finfo(attention.dtype).tiny)
    if reading == "code":
        attention = F.interpolate(attention[:, None], (height, width), mode="bilinear", align_corners=True)[:, 0]
    if squared:
        attention = attention.square()
    along_x, along_y = _density(attention.amax(1)), _density(attention.amax(2))  # (B, w), (B, h)
    if reading == "paper":
        return Coordinates(_invert_cells(along_x, size, width), _invert_cells(along_y, size, height))
    along_x, along_y = _clip_densities(along_x, along_y, magnification)
    return Coordinates(_invert_pixels(along_x, size), _invert_pixels(along_y, size))


def _density(marginal: Tensor) -> Tensor:
    """Normalise (B, n) to float64 of mean 1; uniform where the marginal is zero everywhere."""
    marginal = marginal.double()
    mean = marginal.mean(1, keepdim=True)
    return torch.where(mean > 0, marginal / mean, 1.0)


def _clip_densities(x: Tensor, y: Tensor, magnification: float) -> tuple[Tensor, Tensor]:
    """Clip both densities to the smaller of their maxima, and to `magnification` in the first round."""
    top = magnification
    for _ in range(CLIP_ROUNDS):
        limit = torch.minimum(x.amax(1, keepdim=True), y.amax(1, keepdim=True)).clamp(max=top)
        x, y = torch.minimum(x, limit), torch.minimum(y, limit)
        x, y = x + (1 - x.mean(1, keepdim=True)), y + (1 - y.mean(1, keepdim=True))
        top = float("inf")
    return x, y


def _invert_cells(density: Tensor, size: int, pixels: int) -> Tensor:
    """Return (B, size): the midpoints of `size` equal shares of the mass; the density is constant within a cell."""
    share = (torch.arange(size, dtype=density.dtype, device=density.device) + 0.5) / size
    edges = _invert(F.pad(running_sum(density), (1, 0)), share)
    # Cell edges count from the border of the image, pixels from the centre of the first pixel.
    return (edges * (pixels / density.shape[1]) - 0.5).clamp(0, pixels - 1)


def _invert_pixels(density: Tensor, size: int) -> Tensor:
    """Return (B, size): the starts of `size` equal shares of the mass; the integral is linear between pixel centres."""
    share = torch.arange(size, dtype=density.dtype, device=density.device) / size
    one_sample = torch.full_like(density[:, :1], density.shape[1] / size)
    return _invert(running_sum(torch.cat([one_sample, density[:, 1:]], dim=1)), share)


def _invert(integral: Tensor, share: Tensor) -> Tensor:
    """Return the positions at which integrals (B, n) reach fractions (size,) of their last value: (B, size)."""
    wanted = integral[:, -1:] * share
    # `after` is the first index that reaches the value, so that the step from `before` to `after` is above 0.
    after = torch.searchsorted(integral, wanted)
    before = (after - 1).clamp(min=0)
    low, high = integral.gather(1, before), integral.gather(1, after)
    return before + ((wanted - low) / (high - low).clamp(min=torch.finfo(low.dtype).tiny)).clamp(0, 1)


def _interpolate(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Interpolate (B, C, H, W) bilinearly at all pairs of rows y (B, m) and columns x (B, n): (B, C, m, n)."""
    height, width = images.shape[2:]
    # A 16-bit grid would be wrong by a quarter of a pixel in an image of 512 pixels.
    exact = images.to(torch.promote_types(images.dtype, torch.float32))
    columns = (x * (2 / max(width - 1, 1)) - 1)[:, None, :].expand(-1, y.shape[1], -1)
    rows = (y * (2 / max(height - 1, 1)) - 1)[:, :, None].expand(-1, -1, x.shape[1])
    grid = torch.stack([columns, rows], dim=3).to(exact.dtype)  # (B, m, n, 2)
    return F.grid_sample(exact, grid, padding_mode="border", align_corners=True).to(images.dtype)


def _check(attention: Tensor, size: int, height: int, width: int, reading: str, magnification: float) -> None:
    if reading not in get_args(Reading):
        raise ArgumentError(f"unknown reading {reading!r}", nearest(reading, get_args(Reading)))
    if attention.dim() != 3 or not attention.numel():
        raise ArgumentError(f"cannot sample by attention of shape {tuple(attention.shape)}", "give maps (B, h, w)")
    if min(size, height, width) < 1:
        raise ArgumentError(f"cannot sample {size} pixels per side from {height} x {width} pixels", "give 1 or more")
    if not magnification >= 1:
        raise ArgumentError(f"the magnification limit is {magnification}", "give 1 (uniform sampling) or more")
    smallest, largest = attention.aminmax()
    hint = "it must be finite and not negative: use features after a ReLU"
    check_values(
        (smallest >= 0) & (largest < float("inf")),  # also refuses NaN
        f"the attention is negative or not finite; {hint}",
        lambda: ArgumentError(f"the attention ranges from {float(smallest):g} to {float(largest):g}", hint),
    )

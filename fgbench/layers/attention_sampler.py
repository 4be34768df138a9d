"""Attention-based sampling of an image (TASN: Zheng, Fu, Zha and Luo, CVPR 2019).

Rows and columns are drawn apart. An axis has a density, the largest attention of each of its rows or columns; the
samples stand where the integral of the density passes equal steps, so that they are dense where attention is large.
"""

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from fgbench.util.errors import FgbenchError, nearest

Reading = Literal["paper", "code"]

CLIP_ROUNDS = 5
"""How often the official code clips the densities and spreads what it cut off."""


class Coordinates(NamedTuple):
    """Where an image is sampled, in pixels of the image: 0 is the centre of the first pixel.

    Attributes:
        x: (B, size), the columns, float64, never decreasing along an image.
        y: (B, size), the rows.
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
    """Images resampled so that what is attended to is large; bilinear between pixels.

    The gradient reaches the images and never the attention, as in the official code.

    Args:
        images: (B, C, H, W), floating point.
        attention: (B, h, w), not negative; an image without any attention is sampled evenly.
        size: side of the result in pixels.
        reading: see `sampling_coordinates`, as for the two arguments below.
        squared: whether the attention is squared first.
        magnification: the limit of the density in the reading `code`.

    Returns:
        (B, C, size, size), of the images' type.

    Raises:
        FgbenchError: images not (B, C, H, W) or not floating point, another number of maps than of images, and as
            `sampling_coordinates`.
    """
    if images.dim() != 4 or not images.numel() or not images.is_floating_point():
        raise FgbenchError(
            f"sampling from images of {tuple(images.shape)}, {images.dtype}", "give (B, C, H, W) of floating point"
        )
    if attention.shape[:1] != images.shape[:1]:
        raise FgbenchError(
            f"attention of {tuple(attention.shape)} for images of {tuple(images.shape)}", "give one map (h, w) an image"
        )
    height, width = images.shape[2:]
    where = sampling_coordinates(
        attention, size, height, width, reading=reading, squared=squared, magnification=magnification
    )
    return _bilinear(images, where.x, where.y)


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
    """The columns and rows at which `attention_sample` samples.

    The reading `paper` is F_x(n) = sum over j <= n of max over i of A_ij, the same along y, and the inverses of both.
    Left open is how a map meets an image: here a cell of the map covers its share of the pixels evenly, and sample i
    of n stands where the integral is (i + 1/2) / n of the whole, so that an even map gives the usual bilinear resize.

    The reading `code` is the official MXNet operator: the map is brought to the image's size, corners on corners; the
    densities are limited; the integral starts with one output pixel at the first pixel, whatever its density, and
    sample i stands at i / n of the whole. Up to there the operator reads before its array: here that is the first
    pixel. For images that are not square, which the operator does not take, a density is in multiples of the even one.

    Args:
        attention: (B, h, w), not negative; an image without any attention is sampled evenly.
        size: number of samples along each axis.
        height: H, of the image in pixels.
        width: W, of the image in pixels.
        reading: `paper` or `code`.
        squared: whether the attention is squared, after it is resized if it is. The official code squares the
            structure map and not the detail map; the paper squares none.
        magnification: in the reading `code`, how many times the even density is allowed at first; 4 in the official
            code. The larger of the axes' peaks is cut to the smaller as well, and what is cut off is spread evenly,
            `CLIP_ROUNDS` times, so that a density may end a little above. Without effect in the reading `paper`.

    Returns:
        The coordinates, within the image.

    Raises:
        FgbenchError: attention not (B, h, w), negative or not finite; a size, height or width below 1; a
            magnification below 1; an unknown reading.
    """
    _check(attention, size, height, width, reading, magnification)
    attention = attention.to(torch.promote_types(attention.dtype, torch.float32))
    # Only ratios count. Dividing by the peak keeps the square within the range of the type.
    attention = attention / attention.amax((1, 2), keepdim=True).clamp(min=torch.finfo(attention.dtype).tiny)
    if reading == "code":
        attention = F.interpolate(attention[:, None], (height, width), mode="bilinear", align_corners=True)[:, 0]
    if squared:
        attention = attention.square()
    along_x, along_y = _density(attention.amax(1)), _density(attention.amax(2))
    if reading == "paper":
        return Coordinates(_invert_cells(along_x, size, width), _invert_cells(along_y, size, height))
    along_x, along_y = _limit(along_x, along_y, magnification)
    return Coordinates(_invert_pixels(along_x, size), _invert_pixels(along_y, size))


def _density(marginal: Tensor) -> Tensor:
    """(B, n) in multiples of an even density: float64, of mean 1, and even where there is no attention."""
    marginal = marginal.double()
    mean = marginal.mean(1, keepdim=True)
    return torch.where(mean > 0, marginal / mean, 1.0)


def _limit(x: Tensor, y: Tensor, magnification: float) -> tuple[Tensor, Tensor]:
    """Both densities cut to the smaller of their peaks, and to `magnification` in the first round."""
    top = magnification
    for _ in range(CLIP_ROUNDS):
        limit = torch.minimum(x.amax(1, keepdim=True), y.amax(1, keepdim=True)).clamp(max=top)
        x, y = torch.minimum(x, limit), torch.minimum(y, limit)
        x, y = x + (1 - x.mean(1, keepdim=True)), y + (1 - y.mean(1, keepdim=True))
        top = float("inf")
    return x, y


def _invert_cells(density: Tensor, size: int, pixels: int) -> Tensor:
    """Samples at the middles of `size` equal shares of the mass; the density is even within a cell."""
    share = (torch.arange(size, dtype=density.dtype, device=density.device) + 0.5) / size
    edges = _invert(F.pad(density.cumsum(1), (1, 0)), share)
    # Cell edges are counted from the border of the image, pixels from the centre of the first.
    return (edges * (pixels / density.shape[1]) - 0.5).clamp(0, pixels - 1)


def _invert_pixels(density: Tensor, size: int) -> Tensor:
    """Samples at the starts of `size` equal shares of the mass; the integral is linear between pixel centres."""
    share = torch.arange(size, dtype=density.dtype, device=density.device) / size
    one_sample = torch.full_like(density[:, :1], density.shape[1] / size)
    return _invert(torch.cat([one_sample, density[:, 1:]], dim=1).cumsum(1), share)


def _invert(integral: Tensor, share: Tensor) -> Tensor:
    """The place along (B, n) where an integral reaches these shares (size,) of its last value; 0 if from the start."""
    wanted = integral[:, -1:] * share
    # The first index that is high enough: the one before is not, so that the step between them is above 0.
    after = torch.searchsorted(integral, wanted)
    before = (after - 1).clamp(min=0)
    low, high = integral.gather(1, before), integral.gather(1, after)
    return before + ((wanted - low) / (high - low).clamp(min=torch.finfo(low.dtype).tiny)).clamp(0, 1)


def _bilinear(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(B, C, H, W) at all pairs of the rows y (B, m) and the columns x (B, n): (B, C, m, n)."""
    height, width = images.shape[2:]
    # A grid of 16 bits would be a quarter of a pixel off in an image of 512.
    exact = images.to(torch.promote_types(images.dtype, torch.float32))
    columns = (x * (2 / max(width - 1, 1)) - 1)[:, None, :].expand(-1, y.shape[1], -1)
    rows = (y * (2 / max(height - 1, 1)) - 1)[:, :, None].expand(-1, -1, x.shape[1])
    grid = torch.stack([columns, rows], dim=3).to(exact.dtype)
    return F.grid_sample(exact, grid, padding_mode="border", align_corners=True).to(images.dtype)


def _check(attention: Tensor, size: int, height: int, width: int, reading: str, magnification: float) -> None:
    if reading not in get_args(Reading):
        raise FgbenchError(f"unknown reading {reading!r}", nearest(reading, get_args(Reading)))
    if attention.dim() != 3 or not attention.numel():
        raise FgbenchError(f"sampling by attention of {tuple(attention.shape)}", "give (B, h, w): one map an image")
    if min(size, height, width) < 1:
        raise FgbenchError(f"sampling {size} pixels a side from {height} x {width}", "give numbers of 1 or more")
    if not magnification >= 1:
        raise FgbenchError(f"a magnification limited to {magnification}", "give 1, for even sampling, or more")
    smallest, largest = attention.aminmax()
    if not (smallest >= 0 and largest < float("inf")):  # written so that NaN is refused too
        raise FgbenchError(
            f"sampling by attention from {float(smallest):g} to {float(largest):g}",
            "it must be finite and not negative: take features after a ReLU",
        )

"""Keypoints as maps of scores: code, loss and decoding (Zhang et al., arXiv 1511.07063, section 3.1)."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.layers.grid import Grid
from fgbench.util.errors import FgbenchError


def locate(points: Tensor, grid: Grid, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The cell of each keypoint on a map of `height` x `width` cells.

    Args:
        points: (B, P, 3), x, y in pixels of the input image, and above 0 where the keypoint is visible. The place of
            an invisible keypoint is not looked at.
        grid: where the cells lie.
        height: rows of the map.
        width: columns of the map.

    Returns:
        Row and column, both (B, P) int64, and (B, P) bool, True where the keypoint is visible.

    Raises:
        FgbenchError: another shape, a map without cells, or a visible keypoint that is not finite.
    """
    if height < 1 or width < 1:
        raise FgbenchError(f"no keypoint lies on a map of {height} x {width} cells")
    if points.ndim != 3 or points.shape[2] != 3:
        raise FgbenchError(f"keypoints have the shape (images, keypoints, 3), not {tuple(points.shape)}")
    visible = points[:, :, 2] > 0
    places = torch.where(visible[:, :, None], points[:, :, :2], 0)
    if not torch.isfinite(places).all():
        raise FgbenchError(f"a visible keypoint of image {_first(~torch.isfinite(places))} is not finite")
    return grid.nearest(places[:, :, 1], height), grid.nearest(places[:, :, 0], width), visible


def window(rows: Tensor, columns: Tensor, size: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `size` x `size` cells around a cell, row by row.

    Args:
        rows: (B, P) int64, row of the cell in the middle.
        columns: (B, P) int64, its column.
        size: cells along a side, odd.
        height: rows of the map.
        width: columns of the map.

    Returns:
        Rows and columns, both (B, P, size * size) int64, moved to the border where they lie outside the map, and bool
        of the same shape, True where they did not have to be.

    Raises:
        FgbenchError: `size` is not odd and above 0.
    """
    if size < 1 or size % 2 == 0:
        raise FgbenchError(f"a window around a cell is odd, not {size} cells wide")
    steps = torch.arange(size, device=rows.device) - size // 2
    y = rows[:, :, None] + steps.repeat_interleave(size)
    x = columns[:, :, None] + steps.repeat(size)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return y.clamp(0, height - 1), x.clamp(0, width - 1), inside


def encode(points: Tensor, grid: Grid, height: int, width: int) -> Tensor:
    """Binary maps of true keypoints: one positive cell, the closest, for a visible keypoint; none for another.

    "The output centered at closest point to the true keypoint is coded as a positive while all other outputs are
    negatives"; missing keypoints are "coded as negatives at every location" (section 3.1). A keypoint outside the image
    goes to the nearest border cell; halfway between two cells, to the first.

    Args:
        points: (B, P, 3), x, y in pixels of the input image, and above 0 where the keypoint is visible.
        grid: where the cells lie in the input image.
        height: rows of the map.
        width: columns of the map.

    Returns:
        (B, P, height, width) of 0 and 1, in torch's default floating-point type.

    Raises:
        FgbenchError: as `locate`.
    """
    rows, columns, visible = locate(points, grid, height, width)
    maps = torch.zeros(*rows.shape, height * width, device=points.device)
    maps.scatter_(2, (rows * width + columns)[:, :, None], visible[:, :, None].to(maps.dtype))
    return maps.view(*rows.shape, height, width)


def keypoint_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Sigmoid cross-entropy summed over keypoints and locations, averaged over images (equation of section 3.1).

    As printed, the equation lacks the minus sign and the sum over keypoints. It is computed from the logits, which
    keeps it finite where the sigmoid is 0 or 1, and at least in single precision.

    Args:
        logits: (B, P, H, W), scores before the sigmoid.
        target: (B, P, H, W), from `encode`.

    Returns:
        A scalar.

    Raises:
        FgbenchError: the shapes differ, or there is no image.
    """
    if logits.shape != target.shape or logits.ndim != 4 or not len(logits):
        raise FgbenchError(f"keypoint loss of scores {tuple(logits.shape)} against maps {tuple(target.shape)}")
    logits = _precise(logits)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="sum") / len(logits)


def decode(logits: Tensor, grid: Grid, mode: Literal["argmax", "refined"]) -> Tensor:
    """Place and confidence of each keypoint.

    The two modes are different methods. On the paper's coarse map, PCK at small alpha measures mostly the distance
    between cells, so `refined` would exceed the printed values without a better network: never compare one silently
    with the other.

    Args:
        logits: (B, P, H, W), scores before the sigmoid.
        grid: where the cells lie in the input image.
        mode: `argmax` for the centre of the best cell, as in the paper (of equal cells the first, row by row);
            `refined` for the mean of the centres of the 3 x 3 cells around it, those inside the map, weighted by
            their probabilities.

    Returns:
        (B, P, 3): x, y in pixels of the input image, and the probability of the best cell; at least in single
        precision.

    Raises:
        FgbenchError: another shape, an unknown mode, or scores that are not finite.
    """
    if mode not in {"argmax", "refined"}:
        raise FgbenchError(f"no way to decode keypoints is called {mode!r}", "take 'argmax' or 'refined'")
    if logits.ndim != 4 or not logits.shape[2] * logits.shape[3]:
        raise FgbenchError(f"keypoint scores have the shape (images, keypoints, rows, columns), not {logits.shape}")
    logits = _precise(logits)
    height, width = logits.shape[2:]
    best, cell = logits.flatten(2).max(dim=2)
    if not torch.isfinite(best).all():
        raise FgbenchError(f"the keypoint scores of image {_first(~torch.isfinite(best))} are not finite")
    rows, columns = cell // width, cell % width
    if mode == "argmax":
        places = torch.stack([columns, rows], dim=2).to(logits.dtype)
        return torch.cat([grid.centres(places), best.sigmoid()[:, :, None]], dim=2)
    y, x, inside = window(rows, columns, 3, height, width)
    around = F.logsigmoid(logits.flatten(2).gather(2, y * width + x))
    # The softmax of log probabilities divides each by their sum, also where all of them underflow to zero.
    weights = around.masked_fill(~inside, -math.inf).softmax(dim=2)
    means = torch.stack([(weights * x).sum(dim=2), (weights * y).sum(dim=2)], dim=2)
    return torch.cat([grid.centres(means), best.sigmoid()[:, :, None]], dim=2)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _first(wrong: Tensor) -> int:
    """The first image that has something wrong."""
    return int(wrong.flatten(1).any(dim=1).nonzero()[0])

"""Keypoints as score maps: encoding, loss and decoding (Zhang et al., arXiv 1511.07063, section 3.1)."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.layers.grid import Grid
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.devices import check_values
from fgbench.util.numeric.precision import at_least_float32


def locate_cells(points: Tensor, grid: Grid, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the cell of each keypoint on a map.

    Args:
        points: (B, P, 3), x, y in pixels of the input image, and a third value above 0 where the keypoint is visible.
            The coordinates of an invisible keypoint are ignored.
        grid: positions of the cells.
        height: rows of the map.
        width: columns of the map.

    Returns:
        Row and column, both (B, P) int64, and (B, P) bool, True where the keypoint is visible.

    Raises:
        ArgumentError: the shape is wrong, the map has no cells, or a visible keypoint is not finite (on a CPU; see
            `check_values`).

    Example:
        >>> import torch
        >>> rows, columns, visible = locate_cells(torch.tensor([[[20.0, 5.0, 1.0]]]), Grid(4.0, 8.0), 6, 6)
        >>> rows.item(), columns.item(), visible.item()
        (0, 2, True)
    """
    if height < 1 or width < 1:
        raise ArgumentError(f"a map of {height} x {width} cells cannot hold keypoints")
    if points.ndim != 3 or points.shape[2] != 3:
        raise ArgumentError(f"keypoints have the shape {tuple(points.shape)}, not (images, keypoints, 3)")
    visible = points[:, :, 2] > 0  # (B, P)
    places = torch.where(visible[:, :, None], points[:, :, :2], 0)  # (B, P, 2)
    finite = torch.isfinite(places)
    check_values(
        finite.all(),
        "a visible keypoint is not finite",
        lambda: ArgumentError(f"a visible keypoint of image {_first_image(~finite)} is not finite"),
    )
    return grid.nearest_cell(places[:, :, 1], height), grid.nearest_cell(places[:, :, 0], width), visible


def window_cells(rows: Tensor, columns: Tensor, size: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the `size` x `size` cells around each cell, row by row.

    Args:
        rows: (B, P) int64, row of the central cell.
        columns: (B, P) int64, column of the central cell.
        size: cells along a side, odd.
        height: rows of the map.
        width: columns of the map.

    Returns:
        Rows and columns, both (B, P, size * size) int64, clamped to the map; and a bool of the same shape, True for
        cells inside the map.

    Raises:
        ArgumentError: `size` is not odd and above 0.

    Example:
        >>> import torch
        >>> corner = torch.tensor([[0]])
        >>> rows, columns, inside = window_cells(corner, corner, 3, height=2, width=2)
        >>> inside[0, 0].int().tolist()
        [0, 0, 0, 0, 1, 1, 0, 1, 1]
    """
    if size < 1 or size % 2 == 0:
        raise ArgumentError(f"the window is {size} cells wide", "use an odd number above 0")
    steps = torch.arange(size, device=rows.device) - size // 2
    y = rows[:, :, None] + steps.repeat_interleave(size)  # (B, P, size * size)
    x = columns[:, :, None] + steps.repeat(size)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return y.clamp(0, height - 1), x.clamp(0, width - 1), inside


def encode_keypoints(points: Tensor, grid: Grid, height: int, width: int) -> Tensor:
    """Encode true keypoints as binary maps with one positive cell per visible keypoint.

    "The output centered at closest point to the true keypoint is coded as a positive while all other outputs are
    negatives"; missing keypoints are "coded as negatives at every location" (section 3.1). A keypoint outside the image
    is encoded in the nearest border cell. Halfway between two cells, the first is positive.

    Args:
        points: (B, P, 3), x, y in pixels of the input image, and a third value above 0 where the keypoint is visible.
        grid: positions of the cells in the input image.
        height: rows of the map.
        width: columns of the map.

    Returns:
        (B, P, height, width) of 0 and 1, in torch's default floating-point type.

    Raises:
        ArgumentError: `locate_cells` raises.

    Example:
        >>> import torch
        >>> encode_keypoints(torch.tensor([[[13.0, 5.0, 1.0]]]), Grid(4.0, 8.0), 2, 2)
        tensor([[[[0., 1.],
                  [0., 0.]]]])
    """
    rows, columns, visible = locate_cells(points, grid, height, width)  # (B, P) each
    maps = torch.zeros(*rows.shape, height * width, device=points.device)
    maps.scatter_(2, (rows * width + columns)[:, :, None], visible[:, :, None].to(maps.dtype))
    return maps.view(*rows.shape, height, width)


def keypoint_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the sigmoid cross-entropy, summed over keypoints and locations and averaged over images.

    The equation of section 3.1 as printed lacks the minus sign and the sum over keypoints. The loss is computed from
    the logits, so that it is finite where the sigmoid is 0 or 1, and in single precision or better.

    Args:
        logits: (B, P, H, W), scores before the sigmoid.
        target: (B, P, H, W), from `encode_keypoints`.

    Returns:
        A scalar.

    Raises:
        ArgumentError: the shapes differ, or there is no image.

    Example:
        >>> import torch
        >>> keypoint_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))  # 4 log 2
        tensor(2.7726)
    """
    if logits.shape != target.shape or logits.ndim != 4 or not len(logits):
        raise ArgumentError(f"score maps {tuple(logits.shape)} do not fit target maps {tuple(target.shape)}")
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="sum") / len(logits)


def decode_keypoints(logits: Tensor, grid: Grid, mode: Literal["argmax", "refined"]) -> Tensor:
    """Decode the position and the confidence of each keypoint from its score map.

    The two modes are different methods and must not be compared silently. On the paper's coarse map, PCK at small alpha
    depends mostly on the distance between cells, so that `refined` exceeds the printed values without a better network.

    Args:
        logits: (B, P, H, W), scores before the sigmoid.
        grid: positions of the cells in the input image.
        mode: `argmax` returns the centre of the best cell, as the paper does (the first, row by row, of equal cells).
            `refined` returns the mean of the centres of the 3 x 3 cells around it that are inside the map, weighted by
            their probabilities.

    Returns:
        (B, P, 3): x, y in pixels of the input image, and the probability of the best cell; in single precision or
        better.

    Raises:
        ArgumentError: the shape is wrong, the mode is unknown, or a score is not finite (on a CPU; see
            `check_values`).

    Example:
        >>> import torch
        >>> scores = torch.tensor([[[[-9.0, 0.0], [-9.0, -9.0]]]])
        >>> decode_keypoints(scores, Grid(4.0, 8.0), "argmax").tolist()
        [[[12.0, 4.0, 0.5]]]
    """
    if mode not in {"argmax", "refined"}:
        raise ArgumentError(f"unknown mode {mode!r} to decode keypoints", "use 'argmax' or 'refined'")
    if logits.ndim != 4 or not logits.shape[2] * logits.shape[3]:
        raise ArgumentError(f"keypoint scores have the shape {tuple(logits.shape)}, not (B, P, H, W)")
    logits = at_least_float32(logits)
    height, width = logits.shape[2:]
    best, cell = logits.flatten(2).max(dim=2)  # (B, P) each
    finite = torch.isfinite(best)
    check_values(
        finite.all(),
        "a keypoint score is not finite",
        lambda: ArgumentError(f"the keypoint scores of image {_first_image(~finite)} are not finite"),
    )
    rows, columns = cell // width, cell % width
    if mode == "argmax":
        places = torch.stack([columns, rows], dim=2).to(logits.dtype)  # (B, P, 2)
        return torch.cat([grid.centres(places), best.sigmoid()[:, :, None]], dim=2)
    y, x, inside = window_cells(rows, columns, 3, height, width)  # (B, P, 9) each
    around = F.logsigmoid(logits.flatten(2).gather(2, y * width + x))
    # The softmax of log probabilities divides each probability by their sum, also where all underflow to zero.
    weights = around.masked_fill(~inside, -math.inf).softmax(dim=2)
    means = torch.stack([(weights * x).sum(dim=2), (weights * y).sum(dim=2)], dim=2)  # (B, P, 2)
    return torch.cat([grid.centres(means), best.sigmoid()[:, :, None]], dim=2)


def _first_image(wrong: Tensor) -> int:
    """Return the index of the first image of (B, ...) with a True value."""
    return int(wrong.flatten(1).any(dim=1).nonzero()[0])

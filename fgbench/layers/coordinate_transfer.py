"""Coordinate transfer: features pooled around keypoints (Zhang et al., arXiv 1511.07063, section 3.2)."""

import math
from typing import Literal

import torch
from torch import Tensor

from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import locate_cells, window_cells
from fgbench.util.errors import ArgumentError


def coordinate_transfer(
    features: Tensor, points: Tensor, grid: Grid, size: int, pool: Literal["mean", "max"] = "mean"
) -> Tensor:
    """Pool the features of the `size` x `size` cells around each keypoint into a pose-normalised descriptor.

    Training pools at the true keypoints, testing at the predicted ones. The gradient reaches only the pooled cells and
    never the keypoints. The paper gives neither the size nor the kind of pooling.

    Args:
        features: (B, C, H, W).
        points: (B, P, 2), x, y in pixels of the input image; or (B, P, 3) with a third value above 0 where the
            keypoint is visible. All confidences of `decode_keypoints` are above 0: threshold them first.
        grid: positions of the cells of `features` in the input image. It differs from the grid of the score map if
            their strides differ.
        size: cells along a side of the window, odd. Only cells inside the map count. A keypoint outside the image is
            pooled around the nearest border cell.
        pool: `mean` or `max` over the cells. Equal maxima share the gradient.

    Returns:
        (B, P * C); entry p * C + c is channel c at keypoint p. The entries of an invisible keypoint are zero.

    Raises:
        ArgumentError: the shapes do not fit, a visible keypoint is not finite, the size is even, or the pooling is
            unknown.

    Example:
        >>> import torch
        >>> features = torch.tensor([[[[1.0, 2.0, 6.0]]]])  # cells centred at x = 4, 12 and 20
        >>> points = torch.tensor([[[5.0, 4.0], [12.0, 4.0]]])
        >>> coordinate_transfer(features, points, Grid(offset=4.0, stride=8.0), size=3).tolist()
        [[1.5, 3.0]]
    """
    if pool not in {"mean", "max"}:
        raise ArgumentError(f"unknown pooling {pool!r}", "use 'mean' or 'max'")
    if features.ndim != 4 or points.ndim != 3 or len(points) != len(features) or points.shape[2] not in {2, 3}:
        raise ArgumentError(f"keypoints {tuple(points.shape)} do not fit maps {tuple(features.shape)}")
    if points.shape[2] == 2:
        points = torch.cat([points, torch.ones_like(points[:, :, :1])], dim=2)
    height, width = features.shape[2:]
    rows, columns, visible = locate_cells(points, grid, height, width)  # (B, P) each
    y, x, inside = window_cells(rows, columns, size, height, width)  # (B, P, size * size) each
    # torch has a deterministic gradient for indexing on every device, but not for gather.
    images = torch.arange(len(features), device=features.device)[:, None, None]
    cells = features.permute(0, 2, 3, 1)[images, y, x]  # (B, P, size * size, C)
    if pool == "max":
        pooled = cells.masked_fill(~inside[:, :, :, None], -math.inf).amax(dim=2)  # (B, P, C)
    else:
        pooled = cells.masked_fill(~inside[:, :, :, None], 0).sum(dim=2) / inside.sum(dim=2, keepdim=True)
    return pooled.masked_fill(~visible[:, :, None], 0).flatten(1)

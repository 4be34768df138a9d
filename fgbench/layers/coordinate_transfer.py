"""Features pooled around keypoints (Zhang et al., arXiv 1511.07063, section 3.2)."""

import math
from typing import Literal

import torch
from torch import Tensor

from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import locate, window
from fgbench.util.errors import FgbenchError


def coordinate_transfer(
    features: Tensor, points: Tensor, grid: Grid, size: int, pool: Literal["mean", "max"] = "mean"
) -> Tensor:
    """Features of the `size` x `size` cells around each keypoint, pooled and stacked: a pose-normalised description.

    Training pools at the true keypoints, a test at the predicted ones. The gradient reaches only the cells that were
    pooled, never the keypoints. The paper gives neither the size nor the kind of pooling.

    Args:
        features: (B, C, H, W).
        points: (B, P, 2), x, y in pixels of the input image, or (B, P, 3) with a third value above 0 where the
            keypoint is visible. (Confidences of `decode` are all above 0: compare them with a threshold first.)
        grid: where the cells of `features` lie in the input image; not that of the score map if their strides differ.
        size: cells along a side of the window, odd. Where it leaves the map only the cells inside count; a keypoint
            outside the image is pooled around the nearest border cell.
        pool: `mean` or `max` of the cells; the gradient of `max` is shared by equal cells.

    Returns:
        (B, P * C); entry p * C + c is channel c at keypoint p, zero where that keypoint is invisible.

    Raises:
        FgbenchError: shapes do not fit, a visible keypoint is not finite, an even size, or an unknown way to pool.
    """
    if pool not in {"mean", "max"}:
        raise FgbenchError(f"no way to pool is called {pool!r}", "take 'mean' or 'max'")
    if features.ndim != 4 or points.ndim != 3 or len(points) != len(features) or points.shape[2] not in {2, 3}:
        raise FgbenchError(f"coordinate transfer of maps {tuple(features.shape)} to keypoints {tuple(points.shape)}")
    if points.shape[2] == 2:
        points = torch.cat([points, torch.ones_like(points[:, :, :1])], dim=2)
    height, width = features.shape[2:]
    rows, columns, visible = locate(points, grid, height, width)
    y, x, inside = window(rows, columns, size, height, width)
    # Indexing rather than gather: torch has a deterministic gradient for it on every device.
    images = torch.arange(len(features), device=features.device)[:, None, None]
    cells = features.permute(0, 2, 3, 1)[images, y, x]  # (B, P, size * size, C)
    if pool == "max":
        pooled = cells.masked_fill(~inside[:, :, :, None], -math.inf).amax(dim=2)
    else:
        pooled = cells.masked_fill(~inside[:, :, :, None], 0).sum(dim=2) / inside.sum(dim=2, keepdim=True)
    return pooled.masked_fill(~visible[:, :, None], 0).flatten(1)

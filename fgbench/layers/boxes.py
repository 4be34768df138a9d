"""Boxes around keypoints, and crops of images at boxes."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.datasets.bird_parts import MIN_KEYPOINTS
from fgbench.util.errors import ArgumentError


def keypoint_boxes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the tight bounding boxes of visible keypoints.

    The rule is that of `fgbench.metrics.parts.part_boxes`: at least three visible keypoints make a box.

    Args:
        points: (B, P, 3), x, y in pixels, and a third value above 0 where the keypoint is visible.

    Returns:
        Boxes (B, 4): left, top, right, bottom in pixels, zero where no box exists; and (B,) bool, True where it exists.

    Raises:
        ArgumentError: `points` is not (B, P, 3).

    Example:
        >>> import torch
        >>> points = torch.tensor([[[1.0, 2, 1], [5, 9, 1], [3, 4, 1], [70, 70, 0]]])
        >>> keypoint_boxes(points)
        (tensor([[1., 2., 5., 9.]]), tensor([True]))
    """
    if points.dim() != 3 or points.shape[2] != 3:
        raise ArgumentError(f"keypoints have the shape {tuple(points.shape)}, not (B, P, 3)")
    visible = points[..., 2:] > 0  # (B, P, 1)
    places = points[..., :2]  # (B, P, 2)
    low = places.masked_fill(~visible, torch.inf).amin(dim=1)  # (B, 2)
    high = places.masked_fill(~visible, -torch.inf).amax(dim=1)  # (B, 2)
    exists = visible.sum(dim=(1, 2)) >= MIN_KEYPOINTS  # (B,)
    return torch.where(exists[:, None], torch.cat([low, high], dim=1), 0.0), exists


def crop_boxes(images: Tensor, boxes: Tensor, size: int, context: float) -> Tensor:
    """Crop the square around each box, with context, and resize it.

    Each pixel of the result is the mean of the area that it covers. Outside the image the border pixels are repeated.

    Args:
        images: (B, 3, H, W) uint8.
        boxes: (B, 4): left, top, right, bottom in pixels.
        size: side of the result in pixels.
        context: fraction of the side of the result that lies outside the box on each side.

    Returns:
        (B, 3, size, size) uint8.

    Raises:
        ArgumentError: the shapes do not fit.

    Example:
        >>> import torch
        >>> images = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4).expand(1, 3, 4, 4)
        >>> crop_boxes(images, torch.tensor([[2.0, 0, 4, 2]]), 2, context=0.0)[0, 0].tolist()
        [[2, 3], [6, 7]]
    """
    if images.dim() != 4 or boxes.shape != (len(images), 4):
        raise ArgumentError(f"boxes {tuple(boxes.shape)} do not fit images {tuple(images.shape)}")
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2  # (B, 2)
    side = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1).clamp(min=1.0) / (1 - 2 * context)  # (B,)
    # Each result pixel averages fine x fine samples. The largest possible box sets `fine`, so that no pixel is skipped
    # and a crop does not depend on the other boxes of its batch.
    fine = min(4, math.ceil(max(images.shape[2:]) / (1 - 2 * context) / size))
    steps = (torch.arange(size * fine, device=images.device) + 0.5) / (size * fine) - 0.5  # (size * fine,)
    x, y = (
        (centre[:, k, None] + steps * side[:, None]) / extent * 2 - 1
        for k, extent in enumerate((images.shape[3], images.shape[2]))
    )  # (B, size * fine) each
    grid = torch.stack(
        [x[:, None, :].expand(-1, size * fine, -1), y[:, :, None].expand(-1, -1, size * fine)], dim=-1
    )  # (B, size * fine, size * fine, 2)
    samples = F.grid_sample(images.float(), grid.float(), padding_mode="border", align_corners=False)
    return F.avg_pool2d(samples, fine).round().clamp(0, 255).to(torch.uint8)

"""Boxes around keypoints, and what they cut out of images."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.datasets.bird_parts import FEWEST
from fgbench.util.errors import FgbenchError


def keypoint_boxes(points: Tensor) -> tuple[Tensor, Tensor]:
    """Tight boxes of visible keypoints: the rule of `fgbench.metrics.parts.part_boxes`, for tensors.

    Args:
        points: (B, P, 3) x, y in pixels, and above 0 where visible.

    Returns:
        (B, 4): left, top, right, bottom, and (B,) bool, which of them exist: those of three keypoints or more. The
        others are zero.
    """
    shown = points[..., 2:] > 0
    places = points[..., :2]
    low = places.masked_fill(~shown, torch.inf).amin(dim=1)
    high = places.masked_fill(~shown, -torch.inf).amax(dim=1)
    exists = shown.sum(dim=(1, 2)) >= FEWEST
    return torch.where(exists[:, None], torch.cat([low, high], dim=1), 0.0), exists


def crop_boxes(images: Tensor, boxes: Tensor, size: int, context: float) -> Tensor:
    """The square around each box, with some context, resampled; outside the image the border is repeated.

    Pixels of the result are means over the area they cover.

    Args:
        images: (B, 3, H, W) uint8.
        boxes: (B, 4): left, top, right, bottom in pixels.
        size: side of the result in pixels.
        context: part of the result's side that lies around the box on each side.

    Returns:
        (B, 3, size, size) uint8.

    Raises:
        FgbenchError: shapes do not fit.
    """
    if images.dim() != 4 or boxes.shape != (len(images), 4):
        raise FgbenchError(f"crops of images {tuple(images.shape)} by boxes {tuple(boxes.shape)}")
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1).clamp(min=1.0) / (1 - 2 * context)
    # As many samples along a pixel's side as the largest box would have it cover pixels, so that nothing is skipped; no
    # fewer for smaller boxes, as a crop must not depend on the others of its batch.
    fine = min(4, math.ceil(max(images.shape[2:]) / (1 - 2 * context) / size))
    steps = (torch.arange(size * fine, device=images.device) + 0.5) / (size * fine) - 0.5
    extent = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
    places = (centre[:, None] + steps[None, :, None] * side[:, None, None]) / extent * 2 - 1
    grid = torch.stack(
        [
            places[:, None, :, 0].expand(-1, size * fine, -1),
            places[:, :, None, 1].expand(-1, -1, size * fine),
        ],
        dim=-1,
    )
    sampled = F.grid_sample(images.float(), grid.float(), padding_mode="border", align_corners=False)
    return F.avg_pool2d(sampled, fine).round().clamp(0, 255).to(torch.uint8)

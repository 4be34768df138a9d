"""A fully convolutional network that predicts keypoints (Zhang, Shelhamer, Gao and Darrell, arXiv 1511.07063, 3.1)."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.datasets.bird_parts import BODY, HEAD, MIN_KEYPOINTS
from fgbench.layers.keypoint_maps import decode_keypoints, encode_keypoints, keypoint_loss

Mode = Literal["argmax", "refined"]


class Localizer(nn.Module):
    """A 1 x 1 convolution that scores every keypoint on the map of a backbone.

    Args:
        backbone: gives the map.
        names: of the keypoints.
        size: side of the images in pixels.
        mode: how a position is read from the scores; see `fgbench.layers.keypoint_maps.decode_keypoints`.
        visible: probability from which a keypoint counts as visible.
        generator: source of the initial weights.
    """

    head: Tensor
    body: Tensor

    def __init__(
        self,
        backbone: Backbone,
        names: tuple[str, ...],
        size: int,
        mode: Mode,
        visible: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.backbone, self.mode, self.visible = backbone, mode, visible
        self.grid, self.cells = backbone.grid(size), backbone.cells(size)
        self.score = nn.Conv2d(backbone.channels, len(names), 1)
        assert self.score.bias is not None
        with torch.no_grad():
            self.score.weight.copy_(torch.randn(self.score.weight.shape, generator=generator) * 0.01)
            # A keypoint is in one cell of the map. This bias starts with about that probability, so that the first
            # epochs are not spent on lowering all scores.
            nn.init.constant_(self.score.bias, -math.log(self.cells[0] * self.cells[1]))
        # Indices of the keypoints of each part: buffers, which move to a GPU with the module.
        for part, region in (("head", HEAD), ("body", BODY)):
            columns = torch.tensor([k for k, name in enumerate(names) if name in region], dtype=torch.int64)
            self.register_buffer(part, columns, persistent=False)

    def find_keypoints(self, scores: Tensor) -> Tensor:
        """Find the keypoints on their score maps.

        A head or a body needs three visible keypoints for a box, and the paper reports a box for every image. The three
        most confident keypoints of each are therefore always visible.

        Args:
            scores: (B, P, h, w), from `score`.

        Returns:
            (B, P, 3): x, y in pixels of the images, and the confidence; zero if the keypoint counts as invisible.
        """
        keypoints = decode_keypoints(scores, self.grid, self.mode)  # (B, P, 3)
        # The sigmoid can underflow to zero, which would hide a keypoint that must be visible.
        confidence = keypoints[..., 2].clamp(min=torch.finfo(keypoints.dtype).tiny)  # (B, P)
        visible = confidence >= self.visible  # (B, P)
        for columns in (self.head, self.body):
            if len(columns) >= MIN_KEYPOINTS:
                best = confidence[:, columns].topk(MIN_KEYPOINTS, dim=1).indices  # (B, 3), indices into `columns`
                visible = visible.scatter(1, columns[best], True)
        return torch.cat([keypoints[..., :2], (confidence * visible)[..., None]], dim=-1)

    def loss(self, scores: Tensor, points: Tensor) -> Tensor:
        """Compute the sigmoid cross-entropy of score maps (B, P, h, w) for true keypoints (B, P, 3) in pixels."""
        return keypoint_loss(scores, encode_keypoints(points, self.grid, *scores.shape[2:]))

"""A fully convolutional network that finds keypoints (Zhang, Shelhamer, Gao and Darrell, arXiv 1511.07063, 3.1)."""

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
        mode: how a place is read from the scores; see `fgbench.layers.keypoint_maps.decode_keypoints`.
        visible: probability from which a keypoint counts as visible.
        generator: source of the initial weights.
    """

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
            # A keypoint is in one cell of the map: to begin there spares the first epochs the fall of all scores.
            nn.init.constant_(self.score.bias, -math.log(self.cells[0] * self.cells[1]))
        self.regions = [[k for k, name in enumerate(names) if name in region] for region in (HEAD, BODY)]

    def find_keypoints(self, scores: Tensor) -> Tensor:
        """(B, P, 3): x, y in pixels of the images, and confidence, which is zero where a keypoint counts as hidden.

        A head or body without three visible keypoints would have no box, and the paper reports one for every image: its
        three most confident keypoints are visible always.
        """
        found = decode_keypoints(scores, self.grid, self.mode)
        # A sigmoid can underflow to zero, which would hide a keypoint that is visible always.
        confidence = found[..., 2].clamp(min=torch.finfo(found.dtype).tiny)
        shown = confidence >= self.visible
        for region in self.regions:
            if len(region) >= MIN_KEYPOINTS:
                columns = torch.tensor(region, device=found.device)
                best = confidence[:, columns].topk(MIN_KEYPOINTS, dim=1).indices
                shown = shown.scatter(1, columns[best], True)
        return torch.cat([found[..., :2], (confidence * shown)[..., None]], dim=-1)

    def loss(self, scores: Tensor, points: Tensor) -> Tensor:
        """Sigmoid cross-entropy on single positive cells; points (B, P, 3) in pixels of the images."""
        return keypoint_loss(scores, encode_keypoints(points, self.grid, *scores.shape[2:]))

"""FC-CNN: the last fully connected layer of a network, l2-normalised (baseline of the B-CNN paper)."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from fgbench.backbones import Backbone
from fgbench.layers.bilinear import l2_normalize
from fgbench.methods.base import Method, Options, Outputs, Target, Task, linear_head, methods
from fgbench.util.errors import ArgumentError


class FcCnnOptions(Options):
    """Options of FC-CNN."""

    classifier_std: float = 0.01
    """Standard deviation of the initial weights of the softmax layer (official code: 0.01)."""


@methods("fc_cnn")
class FcCnn(Method):
    """The l2-normalised fc7 descriptor of a network, with a softmax layer on fc7 in training."""

    Options: ClassVar[type[Options]] = FcCnnOptions

    def __init__(
        self, backbones: list[Backbone], task: Task, options: FcCnnOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if len(backbones) != 1:
            raise ArgumentError(f"fc_cnn takes one stream, not {len(backbones)}")
        self.backbone = backbones[0]
        self.classifier = linear_head(self.backbone.channels, task.classes, generator, options.classifier_std)

    def trunk(self, images: Tensor) -> Tensor:
        """Compute fc7 (B, D) of images (B, 3, H, W) uint8 RGB."""
        return self.backbone(images)  # type: ignore[no-any-return]

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Compute the logits from fc7, as in the fine-tuned network, and the l2-normalised embedding (B, D)."""
        return Outputs(self.classifier(features), l2_normalize(features))

    @classmethod
    def draws(cls, options: Any) -> bool:
        """Return False: nothing is random."""
        return False

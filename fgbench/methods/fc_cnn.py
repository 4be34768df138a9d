"""FC-CNN: the last fully connected layer of a network, l2-normalised (the B-CNN paper's first baseline)."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from fgbench.backbones import Backbone
from fgbench.layers.bilinear import l2_normalize
from fgbench.methods.base import Method, Options, Outputs, Target, Task, linear_head, methods


class FcCnnOptions(Options):
    """Options of FC-CNN."""

    classifier_std: float = 0.01
    """Standard deviation of the initial weights of the softmax layer (official code: 0.01)."""


@methods("fc_cnn")
class FcCnn(Method):
    """Softmax on fc7 in training; the descriptor is fc7 divided by its length."""

    Options: ClassVar[type[Options]] = FcCnnOptions

    def __init__(
        self, backbones: list[Backbone], task: Task, options: FcCnnOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        (self.backbone,) = backbones
        self.classifier = linear_head(self.backbone.channels, task.classes, generator, options.classifier_std)

    @classmethod
    def draws(cls, options: Any) -> bool:
        """Nothing does."""
        return False

    def trunk(self, images: Tensor) -> Tensor:
        """(B, D): fc7."""
        return self.backbone(images)  # type: ignore[no-any-return]

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Logits are taken from fc7 itself, as in the network that is fine-tuned; the embedding is l2-normalised."""
        return Outputs(self.classifier(features), l2_normalize(features))

"""B-CNN: the outer product of two convolutional streams, pooled over the image (Lin et al., ICCV 2015)."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.errors import FgbenchError
from fgbench.layers.bilinear import align_maps, bilinear_pool, l2_normalize, signed_sqrt
from fgbench.methods.base import Method, Options, linear_head, methods


class BcnnOptions(Options):
    """Options of B-CNN."""

    epsilon: float = 1e-8
    """Keeps the gradients of the signed square root and of the l2 norm finite at zero."""
    classifier_std: float = 0.001
    """Standard deviation of the initial weights of the softmax layer."""


@methods("bcnn")
class Bcnn(Method):
    """Bilinear pooling of two streams, signed square root, l2 norm; softmax on the result in training.

    Two equal streams are one network, as in the paper's [D,D] and [M,M].
    """

    Options: ClassVar[type[Options]] = BcnnOptions

    def __init__(
        self, backbones: list[Backbone], classes: int, options: BcnnOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if len(backbones) != 2:
            raise FgbenchError(f"bcnn takes two streams, not {len(backbones)}")
        self.symmetric = backbones[0] is backbones[1]
        self.streams = nn.ModuleList(backbones[:1] if self.symmetric else backbones)
        self.epsilon = options.epsilon
        features = backbones[0].channels * backbones[1].channels
        self.classifier = linear_head(features, classes, generator, options.classifier_std)

    def embed(self, images: Tensor) -> Tensor:
        """(B, C * D): the normalised bilinear descriptor."""
        first = self.streams[0](images)
        second = first if self.symmetric else self.streams[1](images)
        pooled = bilinear_pool(*align_maps(first, second))
        return l2_normalize(signed_sqrt(pooled, self.epsilon), self.epsilon)

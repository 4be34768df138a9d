"""B-CNN: the outer product of two convolutional streams, pooled over the image (Lin et al., ICCV 2015).

With options for its two descendants: B-CNN + SPP (section 4.1 of Where to Focus) and compact bilinear pooling (Gao et
al., CVPR 2016).
"""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.layers.bilinear import (
    SQRT_EPSILON,
    Dropped,
    align_maps,
    bilinear_pool,
    bilinear_pyramid,
    l2_normalize,
    signed_sqrt,
    symmetric_half,
)
from fgbench.layers.compact_bilinear import build_projection
from fgbench.methods.base import Method, Options, Outputs, Task, linear_head, methods
from fgbench.util.errors import FgbenchError

Pooling = Literal["full", "tensor_sketch", "random_maclaurin"]


class BcnnOptions(Options):
    """Options of B-CNN."""

    epsilon: float = SQRT_EPSILON
    """Keeps the gradients of the signed square root and of the l2 norm finite at zero."""
    classifier_std: float = 0.001
    """Standard deviation of the initial weights of the softmax layer."""
    dropped: Dropped = "middle"
    """Which rows and columns of the larger map are dropped where two streams differ in size."""
    pooling: Pooling = "full"
    """The outer product itself, or a random projection of it."""
    dims: int = Field(default=8192, gt=0)
    """Dimensions of the random projection."""
    pyramid: int = Field(default=1, ge=1, le=4)
    """Levels of a spatial pyramid: level k cuts the map into k x k cells, each pooled for itself."""


@methods("bcnn")
class Bcnn(Method):
    """Bilinear pooling of two streams, signed square root, l2 norm; softmax on the result in training.

    Two equal streams are one network, as in the paper's [D,D] and [M,M].
    """

    Options: ClassVar[type[Options]] = BcnnOptions

    def __init__(self, backbones: list[Backbone], task: Task, options: BcnnOptions, generator: torch.Generator) -> None:
        super().__init__()
        if len(backbones) != 2:
            raise FgbenchError(f"bcnn takes two streams, not {len(backbones)}")
        self.symmetric = backbones[0] is backbones[1]
        self.streams = nn.ModuleList(backbones[:1] if self.symmetric else backbones)
        self.options = options
        channels = backbones[0].channels, backbones[1].channels
        self.pool = build_pooling(options.pooling, channels, options.dims, generator)
        self.levels = tuple(range(1, options.pyramid + 1))
        features = channels[0] * channels[1] if options.pooling == "full" else options.dims
        features *= sum(level**2 for level in self.levels)
        self.classifier = linear_head(features, task.classes, generator, options.classifier_std)

    @classmethod
    def draws(cls, options: Any) -> bool:
        """Random projections do."""
        return bool(options.pooling != "full")

    def trunk(self, images: Tensor) -> Tensor:
        """(B, D): the normalised bilinear descriptor."""
        first = self.streams[0](images)
        second = first if self.symmetric else self.streams[1](images)
        first, second = align_maps(first, second, self.options.dropped)
        pooled = bilinear_pyramid(first, second, self.pool, self.levels)
        return l2_normalize(signed_sqrt(pooled, self.options.epsilon), self.options.epsilon)

    def embed(self, images: Tensor) -> Tensor:
        """(B, D) descriptors; those of two equal streams without what stands twice in a symmetric matrix."""
        return self._once(super().embed(images))

    def predict(self, images: Tensor) -> Outputs:
        """Logits from the whole descriptor; the embedding is what `embed` gives."""
        outputs = super().predict(images)
        return outputs._replace(embedding=self._once(outputs.embedding))

    def _once(self, descriptors: Tensor) -> Tensor:
        if not self.symmetric or self.options.pooling != "full":
            return descriptors
        return symmetric_half(descriptors, self.streams[0].channels)  # type: ignore[arg-type]

    def modules_of(self, group: str) -> list[nn.Module]:
        """The streams are the backbone; a projection is never trained."""
        return [self.classifier] if group == "classifier" else list(self.streams)


def build_pooling(
    kind: Pooling, channels: tuple[int, int], dims: int, generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:
    """What pools two maps to one vector an image; a module where it has random hashes or vectors."""
    return bilinear_pool if kind == "full" else build_projection(kind, channels, dims, generator)

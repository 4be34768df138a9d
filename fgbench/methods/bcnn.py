"""B-CNN: the outer product of two convolutional streams, pooled over the image (Lin et al., ICCV 2015).

Options give three descendants: the low-dimensional B-CNN (section 3.3 of the paper), B-CNN + SPP (Where to Focus,
section 4.1) and compact bilinear pooling (Gao et al., CVPR 2016).
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
from fgbench.layers.pca import fit_pca_of_maps
from fgbench.methods.base import (
    Batches,
    FitContext,
    Method,
    Options,
    Outputs,
    Target,
    Task,
    linear_head,
    methods,
)
from fgbench.methods.some_images import evenly_spaced, of_chosen
from fgbench.util.errors import ArgumentError

Normalization = Literal["sqrt_l2", "sqrt"]
Pooling = Literal["full", "tensor_sketch", "random_maclaurin"]
PCA_IMAGES = 1000
"""Largest number of training images for the principal components of a projected stream."""


def build_pooling(
    kind: Pooling, channels: tuple[int, int], dims: int, generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function of two maps (B, C, H, W) and (B, D, H, W) that pools their outer product to (B, E).

    Args:
        kind: `full` for the outer product itself, or the name of a random projection; the latter is a module.
        channels: C and D.
        dims: E of a random projection; the full product has E = C * D.
        generator: source of the random projection.
    """
    return bilinear_pool if kind == "full" else build_projection(kind, channels, dims, generator)


class BcnnOptions(Options):
    """Options of B-CNN."""

    epsilon: float = SQRT_EPSILON
    """Keeps the gradients of the signed square root and of the l2 norm finite at zero."""
    classifier_std: float = 0.001
    """Standard deviation of the initial weights of the softmax layer."""
    dropped: Dropped = "middle"
    """Rows and columns of the larger map that are dropped if the maps of the streams differ in size."""
    pooling: Pooling = "full"
    """The outer product itself, or a random projection of it."""
    dims: int = Field(default=8192, gt=0)
    """Dimensions of the random projection."""
    pyramid: int = Field(default=1, ge=1, le=4)
    """Levels of the spatial pyramid: level k divides the map into k x k cells that are pooled separately."""
    pyramid_cells: Literal["sum", "mean"] = "mean"
    """What a cell of the pyramid holds. With `mean` the four quarters have four times the weight of the whole map. The
    recipes name `sum`; records of earlier versions, which do not name it, have `mean`."""
    projected: int = Field(default=0, ge=0)
    """Channels to which the second stream is projected by a 1 x 1 convolution (section 3.3 of the paper); 0 for none.
    Its initial weights are the principal components of the second stream, and the mean is in its bias. It is trained
    with the backbone."""
    normalization: Normalization = "sqrt_l2"
    """Normalisation of the descriptors that `embed` returns: signed square root and l2 norm, or the signed square root
    alone, as in an early version of the official code. The softmax layer gets the l2 norm in both cases."""


@methods("bcnn")
class Bcnn(Method):
    """Bilinear pooling of two streams, signed square root and l2 norm, with a softmax layer in training.

    Two equal streams are one network, as in [D,D] and [M,M] of the paper.
    """

    Options: ClassVar[type[Options]] = BcnnOptions

    def __init__(self, backbones: list[Backbone], task: Task, options: BcnnOptions, generator: torch.Generator) -> None:
        super().__init__()
        if len(backbones) != 2:
            raise ArgumentError(f"bcnn takes two streams, not {len(backbones)}")
        self.symmetric = backbones[0] is backbones[1]
        self.streams = nn.ModuleList(backbones[:1] if self.symmetric else backbones)
        self.options = options
        if options.projected > backbones[1].channels:
            raise ArgumentError(
                f"projected is {options.projected}, but the second stream has {backbones[1].channels} channels"
            )
        channels = backbones[0].channels, options.projected or backbones[1].channels
        self.projection = nn.Conv2d(backbones[1].channels, options.projected, 1) if options.projected else None
        self.pool = build_pooling(options.pooling, channels, options.dims, generator)
        self.levels = tuple(range(1, options.pyramid + 1))
        features = channels[0] * channels[1] if options.pooling == "full" else options.dims
        features *= sum(level**2 for level in self.levels)
        self.classifier = linear_head(features, task.classes, generator, options.classifier_std)

    def trunk(self, images: Tensor) -> Tensor:
        """Compute the bilinear descriptors (B, E), with their normalisation, of images (B, 3, H, W) uint8 RGB."""
        first = self.streams[0](images)  # (B, C, h, w)
        second = self._second(first, images)  # (B, D, h', w')
        first, second = align_maps(first, second, self.options.dropped)  # both the smaller h and w
        pooled = bilinear_pyramid(
            first, second, self.pool, self.levels, self.options.pyramid_cells
        )  # (B, E), E = C * D * cells or dims * cells
        rooted = signed_sqrt(pooled, self.options.epsilon)
        return rooted if self.options.normalization == "sqrt" else l2_normalize(rooted, self.options.epsilon)

    def _second(self, first: Tensor, images: Tensor) -> Tensor:
        """Compute the maps (B, D, h, w) of the second stream; of two equal streams, from those of the first."""
        second = first if self.symmetric else self.streams[1](images)
        return self.projection(second) if self.projection else second

    def initialise(self, batches: Batches, context: FitContext) -> None:
        """Set the projection of the second stream to its principal components in at most 1,000 training images.

        The paper does not say on how many images.
        """
        if self.projection is None:
            return
        context.progress("principal components of the second stream")
        chosen = of_chosen(batches(), evenly_spaced(context.images, PCA_IMAGES))
        pca = fit_pca_of_maps((self.streams[-1](images) for images in chosen), self.options.projected)
        self.projection.weight.copy_(pca.components[:, :, None, None])  # (D, C, 1, 1)
        self.projection.bias.copy_(-pca.components @ pca.mean)  # type: ignore[union-attr]

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Compute the logits from descriptors (B, E) of length 1; the descriptors of `trunk` are the embedding."""
        if self.options.normalization == "sqrt_l2":
            return super().head(features, target)
        return super().head(l2_normalize(features, self.options.epsilon), target)._replace(embedding=features)

    def embed(self, images: Tensor) -> Tensor:
        """Compute descriptors (B, E); those of two equal streams without the duplicates of symmetric matrices."""
        return self._without_duplicates(super().embed(images))

    def predict(self, images: Tensor) -> Outputs:
        """Compute logits from the whole descriptor; the embedding is that of `embed`."""
        outputs = super().predict(images)
        return outputs._replace(embedding=self._without_duplicates(outputs.embedding))

    def _without_duplicates(self, descriptors: Tensor) -> Tensor:
        if not self.symmetric or self.projection or self.options.pooling != "full":
            return descriptors
        return symmetric_half(descriptors, self.streams[0].channels)  # type: ignore[arg-type]

    def modules_of(self, group: str) -> list[nn.Module]:
        """Return the modules of a group; a random projection is never trained."""
        return [self.classifier] if group == "classifier" else [*self.streams, *filter(None, [self.projection])]

    @classmethod
    def draws(cls, options: Any) -> bool:
        """Return whether the options include a random projection."""
        return bool(options.pooling != "full")

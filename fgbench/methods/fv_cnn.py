"""FV-CNN and FV-SIFT: improved Fisher vectors of local descriptors (baselines of the B-CNN paper)."""

from collections.abc import Callable
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.layers.dense_sift import Window, dense_sift
from fgbench.layers.fisher_vector import fisher_vector
from fgbench.layers.gmm import Gmm, fit_gmm
from fgbench.layers.pca import Pca, fit_pca
from fgbench.methods.base import Batches, FitContext, Method, Options, Outputs, Task, linear_head, methods
from fgbench.methods.some_images import evenly_spaced, of_chosen
from fgbench.util.errors import ArgumentError, FgbenchError


def share_parameters(source: nn.Module, target: nn.Module) -> None:
    """Replace the parameters and buffers of `target` by those of `source` with the same name.

    A module moves its parameters to a device in place, and replaces its buffers: share them again after a move.
    """
    target_modules = dict(target.named_modules())
    # Only tensors in the state dict belong to the network; other buffers describe the input of its weight file.
    network_state = source.state_dict()
    for name, value in [*source.named_parameters(), *source.named_buffers()]:
        if name not in network_state:
            continue
        module, _, attribute = name.rpartition(".")
        if module in target_modules and hasattr(target_modules[module], attribute):
            setattr(target_modules[module], attribute, value)


class FisherOptions(Options):
    """Options of both Fisher vector methods."""

    words: int = Field(gt=1)
    """Components of the Gaussian mixture."""
    samples_per_word: int = Field(default=1000, gt=0)
    """Local descriptors per component that are drawn from the training images to fit the mixture."""
    fit_images: int = Field(default=0, ge=0)
    """Training images, at equal distances, from which these descriptors are drawn; 0 for all."""
    iterations: int = Field(default=100, gt=0)
    """Maximum number of EM iterations."""


class FisherMethod(Method):
    """Base of the Fisher vector methods: fit a mixture to local descriptors, then encode each image."""

    pca: Pca | None = None
    gmm: Gmm | None = None
    options: FisherOptions

    def describe(self, images: Tensor) -> Tensor:
        """Compute local descriptors (B, N, D) float32 of images (B, 3, H, W) uint8 RGB."""
        raise TypeError(f"{type(self).__name__} has no describe")

    def embed(self, images: Tensor) -> Tensor:
        """Compute improved Fisher vectors (B, 2 * words * D) of images (B, 3, H, W) uint8 RGB.

        Raises:
            FgbenchError: the mixture has not been fitted.
        """
        if self.gmm is None:
            raise FgbenchError("the Gaussian mixture has not been fitted", "call fit before embed")
        descriptors = self.describe(images)  # (B, N, D)
        return fisher_vector(self.pca.project(descriptors) if self.pca else descriptors, self.gmm)

    def predict(self, images: Tensor) -> Outputs:
        """Compute embeddings without logits, because the softmax layer is not part of the method."""
        embedding = self.embed(images)
        return Outputs(embedding.new_empty(len(embedding), 0), embedding)

    def _sample(self, batches: Batches, context: FitContext) -> Tensor:
        """Draw at least words * samples_per_word local descriptors, the same number from every image: (rows, D)."""
        chosen = evenly_spaced(context.images, self.options.fit_images or context.images)  # (images,) bool
        number = int(chosen.sum())
        per_image = -(-self.options.words * self.options.samples_per_word // number)
        samples, count = torch.empty(0), 0
        for images in of_chosen(batches(), chosen):
            for descriptors in self.describe(images):  # (N, D)
                rows = torch.randperm(len(descriptors), generator=context.generator)[:per_image]
                if not count:
                    samples = descriptors.new_empty(number * len(rows), descriptors.shape[1])
                samples[count : count + len(rows)] = descriptors[rows.to(descriptors.device)]
                count += len(rows)
        return samples[:count]

    def _fit_mixture(self, samples: Tensor, context: FitContext) -> None:
        count, dims = samples.shape
        context.progress(f"fitting {self.options.words} Gaussians to {count:,} descriptors of {dims} dimensions")
        self.gmm = fit_gmm(samples, self.options.words, generator=context.generator, iterations=self.options.iterations)

    def get_extra_state(self) -> dict[str, Tensor]:
        """Return the fitted PCA and mixture as tensors for the checkpoint."""
        state: dict[str, Tensor] = {}
        if self.pca:
            state |= {"pca.mean": self.pca.mean, "pca.components": self.pca.components}
        if self.gmm:
            state |= {"gmm.weights": self.gmm.weights, "gmm.means": self.gmm.means, "gmm.variances": self.gmm.variances}
        return state

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `get_extra_state` returned."""
        if "pca.mean" in state:
            self.pca = Pca(mean=state["pca.mean"], components=state["pca.components"])
        if "gmm.means" in state:
            self.gmm = Gmm(weights=state["gmm.weights"], means=state["gmm.means"], variances=state["gmm.variances"])


class FvCnnOptions(FisherOptions):
    """Options of FV-CNN."""

    words: int = 64


@methods("fv_cnn")
class FvCnn(FisherMethod):
    """Fisher vectors of a convolutional map, without PCA.

    The first stream gives the map. An optional second stream is the same network up to its fully connected layers; it
    shares the common layers and is fine-tuned as FC-CNN.
    """

    Options: ClassVar[type[Options]] = FvCnnOptions

    def __init__(
        self, backbones: list[Backbone], task: Task, options: FvCnnOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if len(backbones) not in {1, 2}:
            raise ArgumentError(f"fv_cnn takes one or two streams, not {len(backbones)}")
        self.options = options
        self.backbone = backbones[0]
        if len(backbones) > 1:
            self.finetuned = backbones[1]
            files = {b.weights.sha256 for b in (self.backbone, self.finetuned) if b.weights is not None}
            if len(files) > 1:
                raise FgbenchError(
                    "the two streams of fv_cnn share their layers, but their weights come from two files",
                    "get one file that also has the fully connected layers: fgbench weights get vgg16.matconvnet",
                )
            share_parameters(self.backbone, self.finetuned)
            self.classifier = linear_head(self.finetuned.channels, task.classes, generator, 0.01)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move all tensors, as `to` does, and keep the buffers of the two streams shared."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if hasattr(self, "finetuned"):
            share_parameters(self.backbone, self.finetuned)
        return self

    def describe(self, images: Tensor) -> Tensor:
        """Return the columns (B, h * w, C) of the map of images (B, 3, H, W) uint8 RGB."""
        maps: Tensor = self.backbone(images)  # (B, C, h, w)
        return maps.flatten(2).transpose(1, 2)

    def fit(self, batches: Batches, context: FitContext) -> None:
        """Fit the mixture to columns of the maps."""
        self._fit_mixture(self._sample(batches, context), context)

    def trunk(self, images: Tensor) -> Tensor:
        """Compute fc7 (B, D) of the fine-tuned network, as FC-CNN does."""
        return self.finetuned(images)  # type: ignore[no-any-return]


class FvSiftOptions(FisherOptions):
    """Options of FV-SIFT."""

    words: int = 256
    pca: int = Field(default=80, gt=0, le=128)
    """Dimensions after PCA."""
    bin_size: int = Field(default=8, gt=0)
    """Side of one of the 4 x 4 spatial bins in pixels."""
    step: int = Field(default=4, gt=0)
    """Pixels between neighbouring descriptors."""
    window: Window = "flat"
    """Weight of the gradients of a descriptor: `flat` is VLFeat's `fast`, `gaussian` is VLFeat without it."""
    smoothing: float = Field(default=0.0, ge=0)
    """Standard deviation in pixels of a Gaussian that smooths the images first; 0 for none. VLFeat's `vl_phow` takes
    `bin_size` / 6."""


@methods("fv_sift")
class FvSift(FisherMethod):
    """Fisher vectors of dense SIFT descriptors after PCA."""

    Options: ClassVar[type[Options]] = FvSiftOptions

    def __init__(
        self, backbones: list[Backbone], task: Task, options: FvSiftOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if backbones:
            raise ArgumentError("fv_sift takes no network", "leave backbones empty")
        self.options = options
        self.dims = options.pca
        self.sift = options.model_dump(include={"bin_size", "step", "window", "smoothing"})

    def describe(self, images: Tensor) -> Tensor:
        """Compute dense SIFT (B, N, 128) of the mean of the three channels of images (B, 3, H, W) uint8 RGB."""
        return dense_sift(images.float().mean(dim=1), **self.sift)

    def embed(self, images: Tensor) -> Tensor:
        """Compute improved Fisher vectors (B, 2 * words * pca) of images (B, 3, H, W) uint8 RGB."""
        if images.device.type == "cpu" and len(images) > 1:  # one image at a time stays in the cache
            return torch.cat([super(FvSift, self).embed(image[None]) for image in images])
        return super().embed(images)

    def fit(self, batches: Batches, context: FitContext) -> None:
        """Fit PCA, then the mixture, to the same sample of descriptors."""
        samples = self._sample(batches, context)
        self.pca = fit_pca(samples, self.dims)
        self._fit_mixture(self.pca.project(samples), context)

"""FV-CNN and FV-SIFT: improved Fisher vectors of local descriptors (the B-CNN paper's other two baselines)."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.layers.dense_sift import dense_sift
from fgbench.layers.fisher_vector import fisher_vector
from fgbench.layers.gmm import Gmm, fit_gmm
from fgbench.layers.pca import Pca, fit_pca
from fgbench.methods.base import Batches, FitContext, Method, Options, Outputs, Task, linear_head, methods
from fgbench.util.errors import FgbenchError


class FisherOptions(Options):
    """What the two Fisher vector methods share."""

    words: int = Field(gt=1)
    """Components of the Gaussian mixture."""
    samples_per_word: int = Field(default=1000, gt=0)
    """Local descriptors for fitting the mixture, times `words`, drawn from the training images."""
    iterations: int = Field(default=100, gt=0)
    """EM iterations at most."""


class FisherMethod(Method):
    """Fits PCA (if asked) and a Gaussian mixture on local descriptors, then encodes each image."""

    pca: Pca | None = None
    gmm: Gmm | None = None
    options: FisherOptions

    def describe(self, images: Tensor) -> Tensor:
        """Local descriptors (B, N, D) float32 of images (B, 3, H, W) uint8 RGB."""
        raise TypeError(f"{type(self).__name__} has no describe")

    def embed(self, images: Tensor) -> Tensor:
        """(B, 2 * words * D): improved Fisher vectors."""
        if self.gmm is None:
            raise FgbenchError("the Gaussian mixture has not been fitted", "call fit before embed")
        local = self.describe(images)
        return fisher_vector(self.pca.project(local) if self.pca else local, self.gmm)

    def predict(self, images: Tensor) -> Outputs:
        """Embeddings; the network that is fine-tuned has no part in them."""
        embedding = self.embed(images)
        return Outputs(embedding.new_empty(len(embedding), 0), embedding)

    def _sample(self, batches: Batches, context: FitContext) -> Tensor:
        """(words * samples_per_word, D) local descriptors or some more, an equal share from every image."""
        share = -(-self.options.words * self.options.samples_per_word // context.images)
        samples, count = torch.empty(0), 0
        for images in batches():
            for local in self.describe(images):
                rows = torch.randperm(len(local), generator=context.generator)[:share]
                if not count:
                    samples = local.new_empty(context.images * len(rows), local.shape[1])
                samples[count : count + len(rows)] = local[rows.to(local.device)]
                count += len(rows)
        return samples[:count]

    def _fit_mixture(self, samples: Tensor, context: FitContext) -> None:
        context.progress(f"Gaussian mixture of {self.options.words} on {len(samples):,} x {samples.shape[1]}")
        self.gmm = fit_gmm(samples, self.options.words, generator=context.generator, iterations=self.options.iterations)

    def get_extra_state(self) -> dict[str, Tensor]:
        """The fitted PCA and mixture as tensors, so that a checkpoint holds them."""
        state: dict[str, Tensor] = {}
        if self.pca:
            state |= {"pca.mean": self.pca.mean, "pca.components": self.pca.components}
        if self.gmm:
            state |= {"gmm.weights": self.gmm.weights, "gmm.means": self.gmm.means, "gmm.variances": self.gmm.variances}
        return state

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Put back what `get_extra_state` gave."""
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

    The first stream gives the map. A second one, the same network up to its fully connected layers, is what gets
    fine-tuned, as FC-CNN; the layers they have in common are shared.
    """

    Options: ClassVar[type[Options]] = FvCnnOptions

    def __init__(
        self, backbones: list[Backbone], task: Task, options: FvCnnOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.options = options
        self.backbone = backbones[0]
        if len(backbones) > 1:
            self.finetuned = backbones[1]
            files = {b.weights.sha256 for b in (self.backbone, self.finetuned) if b.weights is not None}
            if len(files) > 1:
                raise FgbenchError(
                    "the two streams of fv_cnn share their layers, but their weights are of two files",
                    "put one file here that has the fully connected layers too: fgbench weights get vgg16.matconvnet",
                )
            share_parameters(self.backbone, self.finetuned)
            self.classifier = linear_head(self.finetuned.channels, task.classes, generator, 0.01)

    def describe(self, images: Tensor) -> Tensor:
        """(B, h * w, C): the map's columns."""
        maps: Tensor = self.backbone(images)
        return maps.flatten(2).transpose(1, 2)

    def trunk(self, images: Tensor) -> Tensor:
        """(B, D): fc7 of the network that is fine-tuned, as FC-CNN."""
        return self.finetuned(images)  # type: ignore[no-any-return]

    def fit(self, batches: Batches, context: FitContext) -> None:
        """Fit the mixture on map columns."""
        self._fit_mixture(self._sample(batches, context), context)


class FvSiftOptions(FisherOptions):
    """Options of FV-SIFT."""

    words: int = 256
    pca: int = Field(default=80, gt=0, le=128)
    """Dimensions after PCA."""
    bin_size: int = Field(default=8, gt=0)
    """Side of one of the 4 x 4 spatial bins in pixels."""
    step: int = Field(default=4, gt=0)
    """Pixels between neighbouring descriptors."""


@methods("fv_sift")
class FvSift(FisherMethod):
    """Fisher vectors of dense SIFT, projected by PCA."""

    Options: ClassVar[type[Options]] = FvSiftOptions

    def __init__(
        self, backbones: list[Backbone], task: Task, options: FvSiftOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if backbones:
            raise FgbenchError("fv_sift takes no network; leave backbones empty")
        self.options = options
        self.dims, self.bin_size, self.step = options.pca, options.bin_size, options.step

    def embed(self, images: Tensor) -> Tensor:
        """(B, 2 * words * pca); on a CPU an image at a time, which stays in the cache from pixels to vector."""
        if images.device.type == "cpu" and len(images) > 1:
            return torch.cat([super(FvSift, self).embed(image[None]) for image in images])
        return super().embed(images)

    def describe(self, images: Tensor) -> Tensor:
        """(B, N, 128): dense SIFT of the mean of the three channels."""
        return dense_sift(images.float().mean(dim=1), bin_size=self.bin_size, step=self.step)

    def fit(self, batches: Batches, context: FitContext) -> None:
        """Fit PCA, then the mixture, on the same sample of descriptors."""
        samples = self._sample(batches, context)
        self.pca = fit_pca(samples, self.dims)
        self._fit_mixture(self.pca.project(samples), context)


def share_parameters(source: nn.Module, target: nn.Module) -> None:
    """Make every parameter and buffer of `target` that `source` has under the same name the same tensor."""
    modules = dict(target.named_modules())
    owned = source.state_dict()  # what a network is; not the input its file expects
    for name, value in [*source.named_parameters(), *source.named_buffers()]:
        if name not in owned:
            continue
        owner, _, leaf = name.rpartition(".")
        if owner in modules and hasattr(modules[owner], leaf):
            setattr(modules[owner], leaf, value)

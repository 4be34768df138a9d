"""The interface of a method: descriptors of images and, for deep methods, outputs, losses and parameter groups."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.precision import at_least_float32
from fgbench.util.registry import Registry
from fgbench.util.validation import StrictModel, explain

Batches = Callable[[], Iterator[Tensor]]
"""Each call starts a pass over the training images: batches (B, 3, H, W) uint8 RGB, always in the same order."""


class Options(StrictModel):
    """Base of the options of a method; unknown options are refused."""


@dataclass(frozen=True, slots=True)
class Task:
    """The task for which a method is built."""

    classes: int
    """Number of classes."""
    size: int
    """Side of the input images in pixels."""
    part_names: tuple[str, ...] = ()
    """Names of the keypoints of training images; empty if the protocol withholds them."""


class Target(NamedTuple):
    """Annotations of training images, as far as the protocol gives them to the method."""

    labels: Tensor
    """(B,) int64"""
    keypoints: Tensor | None = None
    """(B, P, 3): x, y in pixels of the input images, and 1 where the keypoint is visible; None if withheld."""


class Outputs(NamedTuple):
    """Named outputs of a deep method."""

    logits: Tensor
    """(B, classes)"""
    embedding: Tensor
    """(B, D)"""
    keypoints: Tensor | None = None
    """(B, P, 3): x, y in pixels of the input images, and confidence; None if the method predicts no keypoints."""
    attention: Tensor | None = None
    """(B, h, w), non-negative: attention over the whole image; None if the method has no attention."""
    extra: Mapping[str, Tensor] = {}
    """Further tensors that the losses of the method need."""


@dataclass(frozen=True, slots=True)
class FitContext:
    """Resources of `Method.fit` besides the images."""

    images: int
    """Number of images in a pass."""
    generator: torch.Generator
    """The only source of randomness."""
    progress: Callable[[str], object]
    """Called with a short description of the current step."""


class Method(nn.Module):
    """A method for fine-grained recognition.

    `forward` computes `trunk` and then `head`. A training stage that trains only parts of the head computes the trunk
    once per image.

    Args:
        backbones: the streams of the recipe; equal streams are the same object.
        task: the task.
        options: an instance of the class's `Options`.
        generator: source of the initial weights.
    """

    Options: ClassVar[type[Options]] = Options
    HEAD: ClassVar[tuple[str, ...]] = ("classifier",)
    """Parameter groups of `head`."""
    TRUNK: ClassVar[tuple[str, ...]] = ("backbone",)
    """Parameter groups of `trunk`."""
    LOSSES: ClassVar[tuple[str, ...]] = ("cross_entropy",)
    """Names of the losses; a training stage can minimise any of them alone."""
    NEEDS: ClassVar[tuple[str, ...]] = ()
    """Annotations beyond class labels that training needs."""
    MAKES_IMAGES: ClassVar[bool] = False
    """True if networks also see images that the method makes of its input, such as crops or samples."""
    OUTPUTS: ClassVar[tuple[str, ...]] = ()
    """Fields of `Outputs` that are evaluated besides the scores: `keypoints`, `attention`."""
    classifier: nn.Linear
    """The softmax layer."""

    @classmethod
    def draws(cls, options: Any) -> bool:
        """Return whether `fit` and `embed` of an untrained method depend on random numbers, and so on the seed."""
        return True

    def trunk(self, images: Tensor) -> Tensor:
        """Compute features (B, ...) of images (B, 3, H, W) uint8 RGB."""
        raise TypeError(f"{type(self).__name__} has no trunk")

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Compute the outputs from the features of `trunk`; by default the features are the embedding."""
        return Outputs(self.classifier(features), features)

    def forward(self, images: Tensor, target: Target | None = None) -> Outputs:
        """Compute the outputs for images.

        Args:
            images: (B, 3, H, W) uint8 RGB.
            target: the annotations in training, for methods that use them; None in testing.
        """
        return self.head(self.trunk(images), target)

    def embed(self, images: Tensor) -> Tensor:
        """Compute descriptors (B, D) float32 of images (B, 3, H, W) uint8 RGB."""
        return self(images).embedding  # type: ignore[no-any-return]

    def predict(self, images: Tensor) -> Outputs:
        """Compute the outputs for test images; a method that only embeds returns logits (B, 0)."""
        if type(self).trunk is Method.trunk and type(self).forward is Method.forward:
            embedding = self.embed(images)
            return Outputs(embedding.new_empty(len(embedding), 0), embedding)
        return self(images)  # type: ignore[no-any-return]

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """Compute the losses by name; a training stage minimises the sum of those that it names."""
        return {"cross_entropy": cross_entropy(outputs.logits, target.labels)}

    def initialise(self, batches: Batches, context: FitContext) -> None:
        """Compute initial weights that follow from training images, before any training; by default there are none."""

    def fit(self, batches: Batches, context: FitContext) -> None:
        """Fit the parts that need no labels (PCA, Gaussian mixture) to training images; by default there are none."""

    def draw(self, images: Tensor) -> dict[str, Tensor]:
        """Return illustrations of each image, (B, 3, h, w) uint8, by name; by default there are none."""
        return {}

    def modules_of(self, group: str) -> list[nn.Module]:
        """Return the modules of a group of `HEAD` or `TRUNK`; by default the backbone is all but the classifier."""
        classifier = getattr(self, "classifier", None)
        if group == "classifier":
            return [classifier] if classifier is not None else []
        return [module for module in self.children() if module is not classifier]


methods: Registry[type[Method]] = Registry(
    "method",
    lambda candidate: isinstance(candidate, type) and issubclass(candidate, Method),
    "a subclass of fgbench.methods.Method",
)


def options_of(name: str, values: Mapping[str, object]) -> Options:
    """Validate the options of a method.

    Args:
        name: of the method.
        values: the options by name.

    Raises:
        FgbenchError: the method is unknown; the message names the nearest one.
        ArgumentError: an option is unknown or has an invalid value; the message names the nearest option.
    """
    options_class = methods[name].Options
    try:
        return options_class.model_validate(values)
    except ValidationError as error:
        raise ArgumentError(f"options of {name}: {explain(error, options_class)}") from error


def parameters_of(method: Method, group: str) -> list[nn.Parameter]:
    """Return the parameters of a group of a method that are trained, each once."""
    fixed = {id(p) for module in method.modules() if isinstance(module, Backbone) for p in module.fixed_parameters}
    parameters = {id(p): p for module in method.modules_of(group) for p in module.parameters() if id(p) not in fixed}
    return list(parameters.values())


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (B, K) and labels (B,), in single precision or better."""
    return nn.functional.cross_entropy(at_least_float32(logits), labels)


def linear_head(features: int, classes: int, generator: torch.Generator, std: float = 0.001) -> nn.Linear:
    """Return a softmax layer with weights ~ std * N(0, 1), drawn from `generator`, and zero bias."""
    head = nn.Linear(features, classes)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * std)
        head.bias.zero_()
    return head

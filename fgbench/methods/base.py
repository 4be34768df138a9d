"""What every method offers: descriptors of images, and for deep ones outputs, losses and groups of parameters."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from fgbench.util.errors import FgbenchError
from fgbench.util.registry import Registry
from fgbench.util.validation import explain

Batches = Callable[[], Iterator[Tensor]]
"""Calling it starts a pass over the training images: batches (B, 3, H, W) uint8 RGB, always in the same order."""


class Options(BaseModel):
    """Base of a method's options; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Task:
    """What a method is built for."""

    classes: int
    """Number of classes."""
    size: int
    """Side in pixels of the images it is given."""
    part_names: tuple[str, ...] = ()
    """Names of the keypoints that training images come with; none where the protocol withholds them."""


class Target(NamedTuple):
    """What a training image is, as far as the protocol lets the method see it."""

    labels: Tensor
    """(B,) int64"""
    keypoints: Tensor | None = None
    """(B, P, 3): x, y in pixels of the images given, and 1 where the keypoint is visible; None if withheld."""


class Outputs(NamedTuple):
    """Named outputs of a deep method."""

    logits: Tensor
    """(B, classes)"""
    embedding: Tensor
    """(B, D)"""
    keypoints: Tensor | None = None
    """(B, P, 3): x, y in pixels of the images given, and confidence; None for a method that finds none."""
    attention: Tensor | None = None
    """(B, h, w), not negative: where the method looks, the map spread over the whole image; None if it does not say."""
    extra: Mapping[str, Tensor] = {}
    """What the method's own losses need beside these."""


@dataclass(frozen=True)
class FitContext:
    """What `Method.fit` may use beside the images."""

    images: int
    """Images in a pass."""
    generator: torch.Generator
    """The only source of randomness."""
    progress: Callable[[str], object]
    """Called with a word on what is being done."""


class Method(nn.Module):
    """A method for fine-grained recognition.

    `forward` is `head` after `trunk`: what a stage that trains parts of the head alone needs to compute but once is the
    trunk.

    Args:
        backbones: the streams of the recipe; equal ones are the same object.
        task: what it is built for.
        options: an instance of the class's `Options`.
        generator: source of the initial weights.
    """

    Options: ClassVar[type[Options]] = Options
    HEAD: ClassVar[tuple[str, ...]] = ("classifier",)
    """Groups of parameters that `head` has."""
    TRUNK: ClassVar[tuple[str, ...]] = ("backbone",)
    """Groups of parameters that `trunk` has."""
    LOSSES: ClassVar[tuple[str, ...]] = ("cross_entropy",)
    """Names of the losses, any of which a stage may minimise alone."""
    NEEDS: ClassVar[tuple[str, ...]] = ()
    """Annotations beyond class labels that the method cannot be trained without."""
    OUTPUTS: ClassVar[tuple[str, ...]] = ()
    """Fields of `Outputs` that are measured beside the scores: `keypoints`, `attention`."""
    classifier: nn.Linear
    """The softmax layer."""

    @classmethod
    def draws(cls, options: Any) -> bool:
        """Whether `fit` and `embed` of a method that was not trained depend on random numbers, and so on the seed."""
        return True

    def trunk(self, images: Tensor) -> Tensor:
        """(B, ...) features of images (B, 3, H, W) uint8 RGB."""
        raise TypeError(f"{type(self).__name__} has no trunk")

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Outputs from what `trunk` gives; by default the features are the embedding."""
        return Outputs(self.classifier(features), features)

    def forward(self, images: Tensor, target: Target | None = None) -> Outputs:
        """Outputs for images (B, 3, H, W) uint8 RGB.

        Args:
            images: what to recognise.
            target: in training, for methods that are led by annotations; None in test.
        """
        return self.head(self.trunk(images), target)

    def embed(self, images: Tensor) -> Tensor:
        """Descriptors (B, D) float32 of images (B, 3, H, W) uint8 RGB."""
        return self(images).embedding  # type: ignore[no-any-return]

    def predict(self, images: Tensor) -> Outputs:
        """Outputs for test images; a method that only embeds has no logits to give."""
        if type(self).trunk is Method.trunk and type(self).forward is Method.forward:
            embedding = self.embed(images)
            return Outputs(embedding.new_empty(len(embedding), 0), embedding)
        return self(images)  # type: ignore[no-any-return]

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """The losses by name; a stage minimises the sum of those it names."""
        return {"cross_entropy": nn.functional.cross_entropy(outputs.logits, target.labels)}

    def fit(self, batches: Batches, context: FitContext) -> None:
        """Learn what needs no labels (PCA, Gaussian mixture) from training images. Nothing by default."""

    def draw(self, images: Tensor) -> dict[str, Tensor]:
        """More pictures of what the method does with each image, (B, 3, h, w) uint8, by name. None by default."""
        return {}

    def modules_of(self, group: str) -> list[nn.Module]:
        """The modules of one group of `HEAD` or `TRUNK`; by default the backbone is all but the classifier."""
        classifier = getattr(self, "classifier", None)
        if group == "classifier":
            return [classifier] if classifier is not None else []
        return [module for module in self.children() if module is not classifier]


methods: Registry[type[Method]] = Registry(
    "method",
    lambda thing: isinstance(thing, type) and issubclass(thing, Method),
    "a subclass of fgbench.methods.Method",
)


def options_of(name: str, values: Mapping[str, object]) -> Options:
    """The options of a method.

    Raises:
        FgbenchError: an unknown method or option, with the nearest known one, or a value that does not fit.
    """
    kind = methods[name].Options
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise FgbenchError(f"options of {name}: {explain(error, kind)}") from error


def parameters_of(method: Method, group: str) -> list[nn.Parameter]:
    """The parameters of a group, each once."""
    found = {id(p): p for module in method.modules_of(group) for p in module.parameters()}
    return list(found.values())


def linear_head(features: int, classes: int, generator: torch.Generator, std: float = 0.001) -> nn.Linear:
    """A softmax layer with weights ~ std * N(0, 1) and zero bias, drawn from `generator`."""
    head = nn.Linear(features, classes)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * std)
        head.bias.zero_()
    return head

"""What every method offers: descriptors of images, and for deep ones logits, losses and groups of parameters."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from fgbench.errors import FgbenchError
from fgbench.papers import explain
from fgbench.registry import Registry

Batches = Callable[[], Iterator[Tensor]]
"""Calling it starts a pass over the training images: batches (B, 3, H, W) uint8 RGB, always in the same order."""


class Options(BaseModel):
    """Base of a method's options; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Outputs(NamedTuple):
    """Named outputs of a deep method."""

    logits: Tensor
    """(B, classes)"""
    embedding: Tensor
    """(B, D)"""


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

    Args:
        backbones: the streams of the recipe; equal ones are the same object.
        classes: number of classes.
        options: an instance of the class's `Options`.
        generator: source of the initial weights.
    """

    Options: ClassVar[type[Options]] = Options
    classifier: nn.Linear
    """The softmax layer, which stages call the group `classifier`; everything else is `backbone`."""
    classifies_embedding: ClassVar[bool] = True
    """True when the logits are the classifier on what `embed` gives, so that embeddings may be kept."""

    def embed(self, images: Tensor) -> Tensor:
        """Descriptors (B, D) float32 of images (B, 3, H, W) uint8 RGB."""
        raise TypeError(f"{type(self).__name__} has no embed")

    def forward(self, images: Tensor) -> Outputs:
        """Logits and embedding of images (B, 3, H, W) uint8 RGB."""
        embedding = self.embed(images)
        return Outputs(self.classifier(embedding), embedding)

    def losses(self, outputs: Outputs, target: Tensor) -> dict[str, Tensor]:
        """Named losses, whose sum is minimised; `target` is (B,) int64."""
        return {"cross_entropy": nn.functional.cross_entropy(outputs.logits, target)}

    def fit(self, batches: Batches, context: FitContext) -> None:
        """Learn what needs no labels (PCA, Gaussian mixture) from training images. Nothing by default."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the names that stages use."""
        head = {id(parameter) for parameter in self.classifier.parameters()} if hasattr(self, "classifier") else set()
        return {
            "classifier": [p for p in self.parameters() if id(p) in head],
            "backbone": [p for p in self.parameters() if id(p) not in head],
        }


methods: Registry[type[Method]] = Registry("method")


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


def linear_head(features: int, classes: int, generator: torch.Generator, std: float = 0.001) -> nn.Linear:
    """A softmax layer with weights ~ std * N(0, 1) and zero bias, drawn from `generator`."""
    head = nn.Linear(features, classes)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * std)
        head.bias.zero_()
    return head

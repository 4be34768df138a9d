"""Keypoint FCN with fine-tuned part nets: one network each for the whole image, the head and the body.

Zhang et al., arXiv 1511.07063, section 3.6.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.layers.bilinear import l2_normalize, signed_sqrt
from fgbench.layers.boxes import crop_boxes, keypoint_boxes
from fgbench.methods.base import Method, Options, Outputs, Target, Task, cross_entropy, linear_head, methods
from fgbench.methods.bcnn import Pooling, build_pooling
from fgbench.methods.keypoint_fcn import KeypointOptions, localizes_only
from fgbench.methods.localizer import Localizer
from fgbench.util.errors import ArgumentError


class _FunctionModule(nn.Module):
    """A module that calls a function of two maps, so that an `nn.ModuleDict` can hold the function."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.function(a, b)


class PartNetsOptions(KeypointOptions):
    """Options of the model with part nets."""

    crop: int = Field(default=224, gt=0)
    """Side in pixels of the crops of head and body."""
    context: float = Field(default=16 / 227, ge=0, lt=0.5)
    """Fraction of the side of a crop that lies outside the box on each side; Part R-CNN pads 16 of 227 px."""
    pooling: Pooling = "random_maclaurin"
    """The outer product itself, or a random projection of it."""
    dims: int = Field(default=5000, gt=0)
    """Dimensions of the random projection of each network."""


@methods("part_nets")
class PartNets(Method):
    """Bilinear features of the whole image and of crops around head and body keypoints, each from its own network.

    The streams are the localisation network and those of the whole image, the head and the body. Boxes follow the rule
    of the annotations of Part R-CNN: around the true keypoints in training, around the predicted ones in testing.
    """

    Options: ClassVar[type[Options]] = PartNetsOptions
    MAKES_IMAGES: ClassVar[bool] = True
    HEAD: ClassVar[tuple[str, ...]] = ()
    TRUNK: ClassVar[tuple[str, ...]] = ("classifier", "score", "localizer", "backbone")
    LOSSES: ClassVar[tuple[str, ...]] = ("keypoints", "cross_entropy", "whole", "head", "body")
    NEEDS: ClassVar[tuple[str, ...]] = ("parts",)
    OUTPUTS: ClassVar[tuple[str, ...]] = ("keypoints",)

    def __init__(
        self, backbones: list[Backbone], task: Task, options: PartNetsOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if len(backbones) != 4 or not task.part_names:
            raise ArgumentError(
                "part_nets takes four streams (keypoints, whole, head, body), and images with keypoints"
            )
        self.options = options
        self.localizer = Localizer(backbones[0], task.part_names, task.size, options.mode, options.visible, generator)
        self.nets = nn.ModuleDict(dict(zip(("whole", "head", "body"), backbones[1:], strict=True)))
        # Pooling and softmax layer of each network, and the softmax layer on all of them together.
        self.pools, self.own = nn.ModuleDict(), nn.ModuleDict()
        total_features = 0
        for name, net in zip(self.nets, backbones[1:], strict=True):
            pool = build_pooling(options.pooling, (net.channels, net.channels), options.dims, generator)
            self.pools[name] = pool if isinstance(pool, nn.Module) else _FunctionModule(pool)
            features = net.channels**2 if options.pooling == "full" else options.dims
            self.own[name] = linear_head(features, task.classes, generator, options.classifier_std)
            total_features += features
        self.classifier = linear_head(total_features, task.classes, generator, options.classifier_std)

    def forward(self, images: Tensor, target: Target | None = None) -> Outputs:
        """Compute keypoints, crops, the descriptor of each crop, and the class scores.

        A training stage that trains only the localisation does not run the other networks. All logits are then zero,
        and the embedding is empty.

        Args:
            images: (B, 3, H, W) uint8 RGB.
            target: the true keypoints in training.
        """
        # Localisation.
        scores = self.localizer.score(self.localizer.backbone(images))  # (B, P, h, w)
        predicted = self.localizer.find_keypoints(scores)  # (B, P, 3)
        if target is not None and localizes_only(self):
            logits = scores.new_zeros(len(images), self.classifier.out_features)
            extra = {"scores": scores, **dict.fromkeys(self.nets, logits)}
            return Outputs(logits, logits[:, :0], keypoints=predicted, extra=extra)
        true = None if target is None else target.keypoints
        points = predicted if true is None else true
        # Bilinear features (B, E) of each view; zero where the part has no box.
        descriptors, extra = [], {"scores": scores}
        for name, (view, exists) in self.views(images, points).items():
            maps = self.nets[name](view)  # (B, C, h', w')
            features = l2_normalize(signed_sqrt(self.pools[name](maps, maps))) * exists[:, None]  # (B, E)
            extra[name] = self.own[name](features)  # (B, classes)
            descriptors.append(features)
        # Classification.
        embedding = torch.cat(descriptors, dim=1)  # (B, 3 * E)
        return Outputs(self.classifier(embedding), embedding, keypoints=predicted, extra=extra)

    def views(self, images: Tensor, points: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the images of whole, head and body.

        Args:
            images: (B, 3, H, W) uint8 RGB.
            points: (B, P, 3), x, y in pixels, and a third value above 0 where the keypoint is visible.

        Returns:
            By name: images (B, 3, size, size) uint8, and (B,) bool, True where the part has a box.
        """
        views = {"whole": (images, torch.ones(len(images), dtype=torch.bool, device=images.device))}
        for name, columns in (("head", self.localizer.head), ("body", self.localizer.body)):
            boxes, exists = keypoint_boxes(points[:, columns])  # (B, 4), (B,)
            views[name] = (crop_boxes(images, boxes, self.options.crop, self.options.context), exists)
        return views

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """Compute the loss of the keypoints, that of all networks together, and that of each network."""
        assert target.keypoints is not None
        net_losses = {name: cross_entropy(outputs.extra[name], target.labels) for name in self.nets}
        keypoints = self.localizer.loss(outputs.extra["scores"], target.keypoints)
        return {"keypoints": keypoints, **super().losses(outputs, target), **net_losses}

    def draw(self, images: Tensor) -> dict[str, Tensor]:
        """Return the crops of head and body that the part nets see."""
        keypoints = self.localizer.find_keypoints(self.localizer.score(self.localizer.backbone(images)))
        views = self.views(images, keypoints)
        return {f"{name} crop": views[name][0] for name in ("head", "body")}

    def modules_of(self, group: str) -> list[nn.Module]:
        """Return the modules of a group; `classifier` is the softmax layers of each network and of all together."""
        groups: dict[str, list[nn.Module]] = {
            "classifier": [self.classifier, self.own],
            "score": [self.localizer.score],
            "localizer": [self.localizer.backbone],
            "backbone": [self.nets],
        }
        return groups[group]

"""Keypoint FCN with fine-tuned part nets: whole image, head and body, each with its own network (section 3.6)."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fgbench.backbones import Backbone
from fgbench.datasets.bird_parts import BODY, HEAD
from fgbench.layers.bilinear import l2_normalize, signed_sqrt
from fgbench.layers.boxes import crop_boxes, keypoint_boxes
from fgbench.methods.base import Method, Options, Outputs, Target, Task, linear_head, methods
from fgbench.methods.bcnn import Pooling, build_pooling
from fgbench.methods.keypoint_fcn import KeypointOptions
from fgbench.methods.localizer import Localizer
from fgbench.util.errors import FgbenchError


class PartNetsOptions(KeypointOptions):
    """Options of the model with part nets."""

    crop: int = Field(default=224, gt=0)
    """Side in pixels of the images of head and body."""
    context: float = Field(default=16 / 227, ge=0, lt=0.5)
    """Part of a crop's side that lies around the box on each side; Part R-CNN pads 16 of 227 px."""
    pooling: Pooling = "random_maclaurin"
    dims: int = Field(default=5000, gt=0)
    """Dimensions of the random projection of each network."""


@methods("part_nets")
class PartNets(Method):
    """Crops of head and body around their keypoints, each described by bilinear features of a network of its own.

    Streams: the localisation network, then those of the whole image, the head and the body. Boxes are those of the
    true keypoints in training and of the predicted ones in test, by the rule of Part R-CNN's own annotations.
    """

    Options: ClassVar[type[Options]] = PartNetsOptions
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
            raise FgbenchError("part_nets takes four streams (keypoints, whole, head, body), and images with keypoints")
        self.options = options
        self.localizer = Localizer(backbones[0], task.part_names, task.size, options.mode, options.visible, generator)
        self.nets = nn.ModuleDict(dict(zip(("whole", "head", "body"), backbones[1:], strict=True)))
        self.columns = {
            name: [k for k, part in enumerate(task.part_names) if part in region]
            for name, region in (("head", HEAD), ("body", BODY))
        }
        self.pools, self.own = nn.ModuleDict(), nn.ModuleDict()
        wide = 0
        for name, net in zip(self.nets, backbones[1:], strict=True):
            pool = build_pooling(options.pooling, (net.channels, net.channels), options.dims, generator)
            self.pools[name] = pool if isinstance(pool, nn.Module) else _Function(pool)
            features = net.channels**2 if options.pooling == "full" else options.dims
            self.own[name] = linear_head(features, task.classes, generator, options.classifier_std)
            wide += features
        self.classifier = linear_head(wide, task.classes, generator, options.classifier_std)

    def modules_of(self, group: str) -> list[nn.Module]:
        """`classifier` has the softmax layer of each net, and that of all of them together."""
        groups: dict[str, list[nn.Module]] = {
            "classifier": [self.classifier, self.own],
            "score": [self.localizer.score],
            "localizer": [self.localizer.backbone],
            "backbone": [self.nets],
        }
        return groups[group]

    def views(self, images: Tensor, points: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """The images of whole, head and body, (B, 3, size, size) uint8, and (B,) whether the part is there."""
        views = {"whole": (images, torch.ones(len(images), dtype=torch.bool, device=images.device))}
        for name, columns in self.columns.items():
            boxes, exists = keypoint_boxes(points[:, columns])
            views[name] = (crop_boxes(images, boxes, self.options.crop, self.options.context), exists)
        return views

    def forward(self, images: Tensor, target: Target | None = None) -> Outputs:
        """Keypoints, crops, the description of each, and the softmax layer on all of them."""
        scores = self.localizer.score(self.localizer.backbone(images))
        found = self.localizer.find_keypoints(scores)
        true = None if target is None else target.keypoints
        described, extra = [], {"scores": scores}
        for name, (view, exists) in self.views(images, found if true is None else true).items():
            maps = self.nets[name](view)
            features = l2_normalize(signed_sqrt(self.pools[name](maps, maps))) * exists[:, None]
            extra[name] = self.own[name](features)
            described.append(features)
        embedding = torch.cat(described, dim=1)
        return Outputs(self.classifier(embedding), embedding, keypoints=found, extra=extra)

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """The keypoints' loss, that of all nets together, and each net's own."""
        assert target.keypoints is not None
        own = {name: F.cross_entropy(outputs.extra[name], target.labels) for name in self.nets}
        keypoints = self.localizer.loss(outputs.extra["scores"], target.keypoints)
        return {"keypoints": keypoints, **super().losses(outputs, target), **own}

    def draw(self, images: Tensor) -> dict[str, Tensor]:
        """The crops of head and body that the part nets see."""
        found = self.localizer.find_keypoints(self.localizer.score(self.localizer.backbone(images)))
        views = self.views(images, found)
        return {f"{name} crop": views[name][0] for name in self.columns}


class _Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        result: Tensor = self.function(*inputs)  # type: ignore[operator]
        return result

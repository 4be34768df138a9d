"""Keypoint FCN: find the parts, pool features where they are, classify (Zhang et al., arXiv 1511.07063)."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.layers.bilinear import l2_normalize, signed_sqrt
from fgbench.layers.coordinate_transfer import coordinate_transfer
from fgbench.methods.base import Method, Options, Outputs, Target, Task, linear_head, methods
from fgbench.methods.bcnn import Pooling, build_pooling
from fgbench.methods.localizer import Localizer, Mode
from fgbench.util.errors import FgbenchError


class KeypointOptions(Options):
    """Options of the localisation that all the paper's models share."""

    mode: Mode = "argmax"
    """`argmax` takes the centre of the best cell, as the paper does. `refined` reads between cells, which alone lifts
    PCK at small alpha above what the paper's map allows: another method, not to be compared with it."""
    visible: float = Field(default=0.1, ge=0, le=1)
    """Probability from which a predicted keypoint counts as visible; the paper gives none."""
    window: int = Field(default=3, gt=0)
    """Side in cells of the neighbourhood pooled around a keypoint; the paper gives none."""
    pool: Literal["mean", "max"] = "mean"
    """How the neighbourhood is pooled; the paper does not say."""
    classifier_std: float = 0.001
    """Standard deviation of the initial weights of the softmax layer."""


class KeypointFcnOptions(KeypointOptions):
    """Options of the one-network models of table 1."""

    pose: bool = True
    """Describe the parts by features pooled at the keypoints. Without it only the image as a whole is described."""
    holistic: Literal["none", "fc7", Pooling] = "none"
    """What describes the whole image beside the parts: nothing, the mean of fc7 over the image, or bilinear features
    (`full`, `tensor_sketch`, `random_maclaurin`) of the last convolutional map."""
    dims: int = Field(default=5000, gt=0)
    """Dimensions of the random projection."""


@methods("keypoint_fcn")
class KeypointFcn(Method):
    """A localisation network, and a classification network whose features are pooled at the keypoints.

    The coordinate transfer layer pools at the true keypoints in training and at the predicted ones in test. With one
    stream both networks are one: with its mean fc7 and no pose, the paper's keypoint baseline.
    """

    Options: ClassVar[type[Options]] = KeypointFcnOptions
    HEAD: ClassVar[tuple[str, ...]] = ("classifier", "score")
    TRUNK: ClassVar[tuple[str, ...]] = ("localizer", "backbone")
    LOSSES: ClassVar[tuple[str, ...]] = ("keypoints", "cross_entropy")
    NEEDS: ClassVar[tuple[str, ...]] = ("parts",)
    OUTPUTS: ClassVar[tuple[str, ...]] = ("keypoints",)

    def __init__(
        self, backbones: list[Backbone], task: Task, options: KeypointFcnOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if options.holistic == "none" and not options.pose:
            raise FgbenchError("keypoint_fcn without pose and without holistic has nothing to describe", "set either")
        if len(backbones) not in {1, 2} or not task.part_names:
            raise FgbenchError("keypoint_fcn takes one or two streams, and images with keypoints")
        self.options = options
        self.localizer = Localizer(backbones[0], task.part_names, task.size, options.mode, options.visible, generator)
        self.own = backbones[1] if len(backbones) > 1 else None
        described = backbones[-1]
        self.grid, channels = described.grid(task.size), described.channels
        # What the trunk gives, one after the other in one row: the map for the scores, the map for the features, fc7.
        self.shapes = [(channels, *described.cells(task.size))]
        if self.own is not None:
            self.grid, channels = described.map_grid(task.size), described.map_channels
            self.shapes.insert(0, (channels, *described.map_cells(task.size)))
            self.shapes.insert(0, (self.localizer.backbone.channels, *self.localizer.cells))
        features = len(task.part_names) * channels if options.pose else 0
        if options.holistic == "fc7":
            features += described.channels
        elif options.holistic != "none":
            self.pool = build_pooling(options.holistic, (channels, channels), options.dims, generator)
            features += channels**2 if options.holistic == "full" else options.dims
        self.classifier = linear_head(features, task.classes, generator, options.classifier_std)

    def modules_of(self, group: str) -> list[nn.Module]:
        """`localizer` is the network the keypoints are scored on, `backbone` the one that is pooled."""
        groups: dict[str, list[nn.Module]] = {
            "classifier": [self.classifier],
            "score": [self.localizer.score],
            "localizer": [self.localizer.backbone],
            "backbone": [self.own if self.own is not None else self.localizer.backbone],
        }
        return groups[group]

    def trunk(self, images: Tensor) -> Tensor:
        """(B, F): the maps of both networks and fc7, flattened one after the other."""
        looked = self.localizer.backbone(images)
        if self.own is None:
            return looked.flatten(1)  # type: ignore[no-any-return]
        return torch.cat([maps.flatten(1) for maps in (looked, *self.own.with_map(images))], dim=1)

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Keypoints, the features pooled at them, and the softmax layer."""
        sizes = [shape[0] * shape[1] * shape[2] for shape in self.shapes]
        parts = [
            flat.view(-1, *shape) for flat, shape in zip(torch.split(features, sizes, dim=1), self.shapes, strict=True)
        ]
        looked, maps, top = parts if len(parts) == 3 else parts * 3
        scores = self.localizer.score(looked)
        found = self.localizer.find_keypoints(scores)
        true = None if target is None else target.keypoints
        points = found if true is None else true
        described = []
        if self.options.pose:
            pooled = coordinate_transfer(maps, points, self.grid, self.options.window, self.options.pool)
            described.append(l2_normalize(pooled))
        if self.options.holistic == "fc7":
            described.append(l2_normalize(top.mean(dim=(2, 3))))
        elif self.options.holistic != "none":
            described.append(l2_normalize(signed_sqrt(self.pool(maps, maps))))
        embedding = torch.cat(described, dim=1)
        return Outputs(self.classifier(embedding), embedding, keypoints=found, extra={"scores": scores})

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """The loss of the keypoints (section 3.1) and that of the classes (section 3.3)."""
        assert target.keypoints is not None
        keypoints = self.localizer.loss(outputs.extra["scores"], target.keypoints)
        return {"keypoints": keypoints, **super().losses(outputs, target)}

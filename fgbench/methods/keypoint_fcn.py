"""Keypoint FCN: predict keypoints, pool features around them, classify (Zhang et al., arXiv 1511.07063)."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.layers.bilinear import l2_normalize, signed_sqrt
from fgbench.layers.coordinate_transfer import coordinate_transfer
from fgbench.methods.base import Method, Options, Outputs, Target, Task, linear_head, methods, parameters_of
from fgbench.methods.bcnn import Pooling, build_pooling
from fgbench.methods.localizer import Localizer, Mode
from fgbench.util.errors import ArgumentError


class KeypointOptions(Options):
    """Options of the localisation, common to all models of the paper."""

    mode: Mode = "argmax"
    """`argmax` takes the centre of the best cell, as the paper does. `refined` interpolates between cells, which raises
    PCK at small alpha above the limit of the paper's map: a different method that must not be compared with it."""
    visible: float = Field(default=0.1, ge=0, le=1)
    """Probability from which a predicted keypoint counts as visible; not given in the paper."""
    window: int = Field(default=3, gt=0)
    """Side in cells of the neighbourhood that is pooled around a keypoint; not given in the paper."""
    pool: Literal["mean", "max"] = "mean"
    """Pooling of the neighbourhood; not given in the paper."""
    classifier_std: float = 0.001
    """Standard deviation of the initial weights of the softmax layer."""


class KeypointFcnOptions(KeypointOptions):
    """Options of the models of table 1 without part nets."""

    pose: bool = True
    """Describe the parts by features that are pooled at the keypoints; otherwise describe only the whole image."""
    holistic: Literal["none", "fc7", Pooling] = "none"
    """Description of the whole image in addition to the parts: nothing, the mean of fc7 over the image, or bilinear
    features (`full`, `tensor_sketch`, `random_maclaurin`) of the last convolutional map."""
    dims: int = Field(default=5000, gt=0)
    """Dimensions of the random projection."""


def localizes_only(method: Method) -> bool:
    """Return True in a training stage of `score` and `localizer`, on which the classification does not depend."""

    def trained(*groups: str) -> bool:
        return any(parameter.requires_grad for group in groups for parameter in parameters_of(method, group))

    return torch.is_grad_enabled() and trained("score", "localizer") and not trained("classifier", "backbone")


@methods("keypoint_fcn")
class KeypointFcn(Method):
    """A localisation network, and a classification network whose features are pooled at the keypoints.

    The coordinate transfer layer pools at the true keypoints in training and at the predicted ones in testing. With one
    stream, both networks are the same; with `holistic` fc7 and without `pose`, this is the keypoint baseline of the
    paper.
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
            raise ArgumentError("keypoint_fcn without pose and without holistic describes nothing", "set one of them")
        if len(backbones) not in {1, 2} or not task.part_names:
            raise ArgumentError("keypoint_fcn takes one or two streams, and images with keypoints")
        self.options = options
        # The localisation network, and the classification network if it is another one.
        self.localizer = Localizer(backbones[0], task.part_names, task.size, options.mode, options.visible, generator)
        self.own = backbones[1] if len(backbones) > 1 else None
        classification = backbones[-1]
        self.grid, channels = classification.grid(task.size), classification.channels
        # The trunk flattens and concatenates its maps: the one for the scores, the one for the features, and fc7.
        self.map_shapes = [(channels, *classification.cells(task.size))]
        if self.own is not None:
            self.grid, channels = classification.map_grid(task.size), classification.map_channels
            self.map_shapes.insert(0, (channels, *classification.map_cells(task.size)))
            self.map_shapes.insert(0, (self.localizer.backbone.channels, *self.localizer.cells))
        # The descriptor: the parts, then the whole image.
        features = len(task.part_names) * channels if options.pose else 0
        if options.holistic == "fc7":
            features += classification.channels
        elif options.holistic != "none":
            self.pool = build_pooling(options.holistic, (channels, channels), options.dims, generator)
            features += channels**2 if options.holistic == "full" else options.dims
        self.classifier = linear_head(features, task.classes, generator, options.classifier_std)

    def trunk(self, images: Tensor) -> Tensor:
        """Compute the maps of both networks and fc7, flattened and concatenated: (B, F)."""
        score_map = self.localizer.backbone(images)  # (B, C, h, w)
        if self.own is None:
            return score_map.flatten(1)  # type: ignore[no-any-return]
        return torch.cat([maps.flatten(1) for maps in (score_map, *self.own.with_map(images))], dim=1)

    def forward(self, images: Tensor, target: Target | None = None) -> Outputs:
        """Compute the outputs for images.

        A training stage that trains only the localisation does not run a separate classification network. Its logits
        are then zero, and its embedding is empty.
        """
        if target is None or self.own is None or not localizes_only(self):
            return super().forward(images, target)
        scores = self.localizer.score(self.localizer.backbone(images))  # (B, P, h, w)
        logits = scores.new_zeros(len(images), self.classifier.out_features)
        keypoints = self.localizer.find_keypoints(scores)  # (B, P, 3)
        return Outputs(logits, logits[:, :0], keypoints=keypoints, extra={"scores": scores})

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Compute the keypoints, pool features at them, and classify.

        Args:
            features: (B, F), from `trunk`.
            target: the true keypoints in training.
        """
        score_map, maps, fc7 = self._unflatten(features)  # (B, C, h, w), (B, D, h', w'), (B, E, h'', w'')
        # Section 3.1: localisation.
        scores = self.localizer.score(score_map)  # (B, P, h, w)
        predicted = self.localizer.find_keypoints(scores)  # (B, P, 3)
        true = None if target is None else target.keypoints
        points = predicted if true is None else true
        # Section 3.2: coordinate transfer, then the description of the whole image.
        descriptors = []
        if self.options.pose:
            pooled = coordinate_transfer(maps, points, self.grid, self.options.window, self.options.pool)  # (B, P * D)
            descriptors.append(l2_normalize(pooled))
        if self.options.holistic == "fc7":
            descriptors.append(l2_normalize(fc7.mean(dim=(2, 3))))  # (B, E)
        elif self.options.holistic != "none":
            descriptors.append(l2_normalize(signed_sqrt(self.pool(maps, maps))))  # (B, D * D) or (B, dims)
        # Section 3.3: classification.
        embedding = torch.cat(descriptors, dim=1)
        return Outputs(self.classifier(embedding), embedding, keypoints=predicted, extra={"scores": scores})

    def _unflatten(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Restore the maps that `trunk` flattened; with one stream all three are the same map."""
        sizes = [channels * height * width for channels, height, width in self.map_shapes]
        maps = [
            flat.view(-1, *shape)
            for flat, shape in zip(torch.split(features, sizes, dim=1), self.map_shapes, strict=True)
        ]
        score_map, feature_map, fc7 = maps if len(maps) == 3 else maps * 3
        return score_map, feature_map, fc7

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """Compute the loss of the keypoints (section 3.1) and that of the classes (section 3.3)."""
        assert target.keypoints is not None
        keypoints = self.localizer.loss(outputs.extra["scores"], target.keypoints)
        return {"keypoints": keypoints, **super().losses(outputs, target)}

    def modules_of(self, group: str) -> list[nn.Module]:
        """Return the modules of a group: `localizer` is the localisation network, `backbone` the classification one."""
        groups: dict[str, list[nn.Module]] = {
            "classifier": [self.classifier],
            "score": [self.localizer.score],
            "localizer": [self.localizer.backbone],
            "backbone": [self.own if self.own is not None else self.localizer.backbone],
        }
        return groups[group]

"""TASN: trilinear attention sampling, and distillation from part to master net (Zheng, Fu, Zha and Luo, CVPR 2019)."""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fgbench.backbones import Backbone
from fgbench.layers.attention_sampler import Reading, attention_sample, sampling_coordinates
from fgbench.layers.distillation import distillation_loss
from fgbench.layers.trilinear import (
    Normalisation,
    Reduction,
    detail_map,
    random_channels,
    structure_map,
    trilinear_attention,
)
from fgbench.methods.base import Method, Options, Outputs, Target, Task, cross_entropy, linear_head, methods
from fgbench.util.errors import ArgumentError


def _resize(images: Tensor, size: int, antialias: bool) -> Tensor:
    """Resize (B, 3, H, W) uint8 to (B, 3, size, size) uint8; without antialiasing the corners are aligned."""
    if images.shape[-1] == size:
        return images
    how: dict[str, Any] = {"mode": "bilinear", "antialias": antialias, "align_corners": not antialias}
    small = F.interpolate(images.float(), size=(size, size), **how)
    return small.round().clamp(0, 255).to(torch.uint8)


def _samples_per_cell(places: Tensor, cells: int, size: int) -> Tensor:
    """Count the sorted places (B, n), in pixels of an image of `size`, in each of `cells` equal cells: (B, cells)."""
    edges = torch.arange(1, cells, device=places.device, dtype=places.dtype) * size / cells - 0.5
    below = torch.searchsorted(places.contiguous(), edges.expand(len(places), -1).contiguous()).float()
    total = below.new_full((len(places), 1), places.shape[1])
    return torch.diff(torch.cat([torch.zeros_like(total), below, total], dim=1), dim=1)


class _DilatedConvolution(nn.Module):
    """One 3 x 3 convolution applied at several dilations; the ReLUs of the results are summed."""

    def __init__(self, channels: int, dilations: tuple[int, ...], biased: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.dilations = dilations
        self.bias = nn.Parameter(torch.zeros(channels)) if biased else None
        weight = torch.empty(channels, channels, 3, 3)
        self.weight = nn.Parameter(nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        maps = [F.relu(F.conv2d(x, self.weight, self.bias, padding=d, dilation=d)) for d in self.dilations]
        return torch.stack(maps).sum(dim=0)


class TasnOptions(Options):
    """Options of TASN; where the paper and the official code differ, both variants have a name."""

    size: int = Field(default=224, gt=0)
    """Side in pixels of the sampled images."""
    attention_size: int = Field(default=0, ge=0)
    """Side in pixels of the image from which the attention is computed; 0 for that of the sampled images."""
    attention_antialias: bool = True
    """Resize this image with antialiasing. The code does not, and aligns the corners of both images."""
    attention_norm: bool = False
    """Apply batch normalisation and a ReLU before the softmax layer of the attention network, as in the code."""
    normalisation: Normalisation = "both"
    """Softmaxes of the trilinear attention; `both` in the paper and in the code."""
    scale: float = Field(default=1.0, gt=0)
    """Factor inside the spatial softmax: 1 in the paper, 7 in the code."""
    reduction: Reduction = "mean"
    """Reduction of the channels to the structure map: `mean` in the paper, `misplaced_unique_sum` in the code."""
    reading: Reading = "paper"
    """Conversion of a map to sampling densities: as printed, or clipped as in the code."""
    squared: bool = False
    """Square the structure map first, as in the code."""
    unique: bool = False
    """Draw the channel of the detail map among channels of different mass, as in the code."""
    dilations: bool = False
    """Insert two convolutions at several dilations between attention network and attention, as in the code."""
    dilation_bias: bool = False
    """Give each of these convolutions a bias, which its dilations share, as in the code."""
    joint_batch: bool = False
    """Compute the features of detail and structure images in one batch, as in the code: batch normalisation then has
    the statistics of both. Otherwise each has its own."""
    temperature: float = Field(default=10.0, gt=0)
    """Temperature of the distillation; 10 in the code."""
    distillation: float = Field(default=1.0, ge=0)
    """Weight of the distillation loss."""
    detach: bool = True
    """Treat the part net as a fixed teacher; the code does not."""
    shared_head: bool = False
    """Add a softmax layer that part and master net share, as in the code, where each of the four losses counts half."""
    measured: Literal["master", "shared"] = "master"
    """The softmax layer that predicts."""
    classifier_std: float = 0.01
    """Standard deviation of the initial weights of the softmax layers."""


@methods("tasn")
class Tasn(Method):
    """Sampling of the image by trilinear attention, with distillation from a part net into a master net.

    The first stream gives the map from which the attention is computed. The second stream gives the features of a
    sampled image; the part net and the master net share it. The prediction is that of the master net on the
    structure-preserved image. The part net is used in training only.
    """

    Options: ClassVar[type[Options]] = TasnOptions
    MAKES_IMAGES: ClassVar[bool] = True
    HEAD: ClassVar[tuple[str, ...]] = ()
    TRUNK: ClassVar[tuple[str, ...]] = ("classifier", "backbone", "attention")
    LOSSES: ClassVar[tuple[str, ...]] = ("cross_entropy", "part", "attention", "distillation", "shared")
    OUTPUTS: ClassVar[tuple[str, ...]] = ("attention",)

    def __init__(self, backbones: list[Backbone], task: Task, options: TasnOptions, generator: torch.Generator) -> None:
        super().__init__()
        if len(backbones) != 2:
            raise ArgumentError(f"tasn takes two streams, one for attention and one for features, not {len(backbones)}")
        for name in ("size", "attention_size"):
            if getattr(options, name) > task.size:
                raise ArgumentError(
                    f"tasn cannot sample {getattr(options, name)} px from images of {task.size} px",
                    f"lower options.{name}",
                )
        if options.measured == "shared" and not options.shared_head:
            raise ArgumentError("tasn cannot measure a shared head without one", "set options.shared_head")
        self.options = options
        self.attention_net, self.backbone = backbones
        attention_channels, features = self.attention_net.channels, self.backbone.channels
        self.dilated = (
            nn.Sequential(
                _DilatedConvolution(attention_channels, (1, 2), options.dilation_bias, generator),
                _DilatedConvolution(attention_channels, (1, 2, 3), options.dilation_bias, generator),
            )
            if options.dilations
            else nn.Identity()
        )
        self.attention_norm = (
            nn.Sequential(nn.BatchNorm2d(attention_channels, eps=2e-5), nn.ReLU())
            if options.attention_norm
            else nn.Identity()
        )
        inputs = {"master": features, "part": features, "attention": attention_channels}
        if options.shared_head:
            inputs["shared"] = features
        self.heads = nn.ModuleDict(
            {
                name: linear_head(width, task.classes, generator, options.classifier_std)
                for name, width in inputs.items()
            }
        )

    def attend(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the trilinear attention of images (B, 3, H, W) uint8 RGB.

        Returns:
            The feature map (B, C, h, w), and the attention maps (B, C, h, w), which block the gradient.
        """
        size = self.options.attention_size or self.options.size
        features: Tensor = self.dilated(self.attention_net(_resize(images, size, self.options.attention_antialias)))
        attention = trilinear_attention(
            features.detach(), normalisation=self.options.normalisation, scale=self.options.scale
        )
        return features, attention

    def sample(self, images: Tensor, attention: Tensor, squared: bool = False) -> Tensor:
        """Sample images (B, 3, H, W) uint8 by attention maps (B, h, w): (B, 3, size, size) uint8."""
        sampled = attention_sample(
            images.float(), attention, self.options.size, reading=self.options.reading, squared=squared
        )
        return sampled.round().clamp(0, 255).to(torch.uint8)

    def forward(self, images: Tensor, target: Target | None = None) -> Outputs:
        """Compute the prediction of the master net; with a target, also the outputs of the part net.

        Args:
            images: (B, 3, H, W) uint8 RGB.
            target: given in training. Its values are not used.
        """
        # Trilinear attention, and the structure map of all its channels.
        attention_features, attention = self.attend(images)  # (B, C, h, w) each
        structure = structure_map(attention, reduction=self.options.reduction)  # (B, h, w)
        # Structure-preserved image; in training, the detail-preserved image of one random channel.
        samples = [self.sample(images, structure, self.options.squared)]
        if target is not None:
            channels = random_channels(attention, None, unique=self.options.unique)  # (B,)
            samples.append(self.sample(images, detail_map(attention, channels)))
        features, *part_features = self._features(samples)  # (B, D) each
        # Master net.
        extra = {"master": self.heads["master"](features)}  # (B, classes)
        if self.options.shared_head:
            extra["shared"] = self.heads["shared"](features)
        # Part net.
        for part in part_features:
            extra["part"] = self.heads["part"](part)
            extra["attention"] = self.heads["attention"](self.attention_norm(attention_features).mean(dim=(2, 3)))
            if self.options.shared_head:
                extra["shared_part"] = self.heads["shared"](part)
        density = self._sampling_density(structure, images.shape[-1])  # (B, h, w)
        return Outputs(extra[self.options.measured], features, attention=density, extra=extra)

    def _features(self, samples: list[Tensor]) -> list[Tensor]:
        """Compute the features (B, D) of some images (B, 3, size, size), in one batch or one by one."""
        if self.options.joint_batch:
            return list(torch.chunk(self.backbone(torch.cat(samples)), len(samples)))
        return [self.backbone(images) for images in samples]

    def _sampling_density(self, structure: Tensor, size: int) -> Tensor:
        """Count the samples in each cell of structure maps (B, h, w): the attention of the master net, (B, h, w)."""
        coordinates = sampling_coordinates(
            structure, self.options.size, size, size, reading=self.options.reading, squared=self.options.squared
        )
        rows, columns = (
            _samples_per_cell(places, cells, size)
            for places, cells in zip((coordinates.y, coordinates.x), structure.shape[1:], strict=True)
        )  # (B, h), (B, w)
        return rows[:, :, None] * columns[:, None, :]

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """Compute the cross-entropies of all softmax layers, and the distillation loss from part to master net."""
        options, logits = self.options, outputs.extra
        weight = 0.5 if options.shared_head else 1.0

        def entropy(name: str) -> Tensor:
            return cross_entropy(logits[name], target.labels)

        soft = distillation_loss(logits["master"], logits["part"], options.temperature, detach=options.detach)
        losses = {
            "cross_entropy": weight * entropy("master"),
            "part": weight * entropy("part"),
            "attention": entropy("attention"),
            "distillation": options.distillation * soft,
        }
        if options.shared_head:
            losses["shared"] = weight * (entropy("shared") + entropy("shared_part"))
        return losses

    def draw(self, images: Tensor) -> dict[str, Tensor]:
        """Return the structure-preserved images, and the detail-preserved images of the strongest channel."""
        _, attention = self.attend(images)
        structure = structure_map(attention, reduction=self.options.reduction)
        strongest = attention.amax(dim=(2, 3)).argmax(dim=1)  # (B,)
        return {
            "sampled, structure": self.sample(images, structure, self.options.squared),
            "sampled, detail": self.sample(images, detail_map(attention, strongest)),
        }

    def modules_of(self, group: str) -> list[nn.Module]:
        """Return the modules of a group: `attention` is the attention network, `backbone` that of both nets."""
        groups: dict[str, list[nn.Module]] = {
            "classifier": [self.heads],
            "backbone": [self.backbone],
            "attention": [self.attention_net, self.dilated, self.attention_norm],
        }
        return groups[group]

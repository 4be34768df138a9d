"""TASN: trilinear attention sampling, and distillation from parts into the whole (Zheng et al., CVPR 2019)."""

from typing import ClassVar, Literal

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
from fgbench.methods.base import Method, Options, Outputs, Target, Task, linear_head, methods
from fgbench.util.errors import FgbenchError


class TasnOptions(Options):
    """Options of TASN; where the paper and the official code differ, both readings have a name."""

    size: int = Field(default=224, gt=0)
    """Side in pixels of the sampled images, and of the image the attention is computed on."""
    normalisation: Normalisation = "both"
    scale: float = Field(default=1.0, gt=0)
    """Factor inside the spatial softmax: 1 in the paper, 7 in the code."""
    reduction: Reduction = "mean"
    """How channels become the structure map: `mean` in the paper, `misplaced_unique_sum` in the code."""
    reading: Reading = "paper"
    """How a map becomes sampling densities: as printed, or limited as in the code."""
    squared: bool = False
    """Square the structure map first, as in the code."""
    unique: bool = False
    """Draw the detail's channel among those of different mass, as in the code."""
    dilations: bool = False
    """Two convolutions at several dilations between the attention network and the attention, as in the code."""
    temperature: float = Field(default=10.0, gt=0)
    distillation: float = Field(default=1.0, ge=0)
    """Weight of the distillation loss."""
    detach: bool = True
    """The part net is a fixed teacher; in the code it is not."""
    shared_head: bool = False
    """A further softmax layer that part and master net share, as in the code, where each of the four counts half."""
    measured: Literal["master", "shared"] = "master"
    """Which softmax layer predicts."""
    classifier_std: float = 0.01
    """Standard deviation of the initial weights of the softmax layers."""


@methods("tasn")
class Tasn(Method):
    """Attention from one network says where a second one samples; a part net teaches the master net it shares with.

    The first stream gives the map that attention is computed on, the second the features of a sampled image. The
    prediction is the master net's, on the image that keeps the structure; the part net is for training alone.
    """

    Options: ClassVar[type[Options]] = TasnOptions
    HEAD: ClassVar[tuple[str, ...]] = ()
    TRUNK: ClassVar[tuple[str, ...]] = ("classifier", "backbone", "attention")
    LOSSES: ClassVar[tuple[str, ...]] = ("cross_entropy", "part", "attention", "distillation", "shared")
    OUTPUTS: ClassVar[tuple[str, ...]] = ("attention",)

    def __init__(self, backbones: list[Backbone], task: Task, options: TasnOptions, generator: torch.Generator) -> None:
        super().__init__()
        if len(backbones) != 2:
            raise FgbenchError(f"tasn takes two streams, one for attention and one for features, not {len(backbones)}")
        if options.size > task.size:
            raise FgbenchError(f"tasn samples {options.size} px from images of {task.size} px", "lower options.size")
        if options.measured == "shared" and not options.shared_head:
            raise FgbenchError("tasn cannot measure a shared head it does not have", "set options.shared_head")
        self.options = options
        self.attention_net, self.backbone = backbones
        looked, features = self.attention_net.channels, self.backbone.channels
        self.dilated = (
            nn.Sequential(_Dilated(looked, (1, 2), generator), _Dilated(looked, (1, 2, 3), generator))
            if options.dilations
            else nn.Identity()
        )
        heads = {"master": features, "part": features, "attention": looked}
        if options.shared_head:
            heads["shared"] = features
        self.heads = nn.ModuleDict(
            {name: linear_head(wide, task.classes, generator, options.classifier_std) for name, wide in heads.items()}
        )

    def modules_of(self, group: str) -> list[nn.Module]:
        """`attention` is the network that looks, `backbone` the one that both nets share."""
        groups: dict[str, list[nn.Module]] = {
            "classifier": [self.heads],
            "backbone": [self.backbone],
            "attention": [self.attention_net, self.dilated],
        }
        return groups[group]

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The map that is looked at (B, C, h, w) and the trilinear attention of it, which no gradient passes."""
        features: Tensor = self.dilated(self.attention_net(_resized(images, self.options.size)))
        attention = trilinear_attention(
            features.detach(), normalisation=self.options.normalisation, scale=self.options.scale
        )
        return features, attention

    def sample(self, images: Tensor, attention: Tensor, squared: bool = False) -> Tensor:
        """Images (B, 3, H, W) uint8 sampled by maps (B, h, w): (B, 3, size, size) uint8."""
        sampled = attention_sample(
            images.float(), attention, self.options.size, reading=self.options.reading, squared=squared
        )
        return sampled.round().clamp(0, 255).to(torch.uint8)

    def forward(self, images: Tensor, target: Target | None = None) -> Outputs:
        """The part net, random in what it sees, runs only when there is a target."""
        looked, attention = self.look(images)
        structure = structure_map(attention, reduction=self.options.reduction)
        features = self.backbone(self.sample(images, structure, self.options.squared))
        name = self.options.measured
        extra = {"master": self.heads["master"](features)}
        if self.options.shared_head:
            extra["shared"] = self.heads["shared"](features)
        if target is not None:
            channels = random_channels(attention, torch.default_generator, unique=self.options.unique)
            details = self.backbone(self.sample(images, detail_map(attention, channels)))
            extra["part"] = self.heads["part"](details)
            extra["attention"] = self.heads["attention"](looked.mean(dim=(2, 3)))
            if self.options.shared_head:
                extra["shared_part"] = self.heads["shared"](details)
        return Outputs(extra[name], features, attention=self._density(structure, images.shape[-1]), extra=extra)

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """Cross-entropies of the nets and of the attention network, and the distillation from part to master net."""
        o, extra = self.options, outputs.extra
        half = 0.5 if o.shared_head else 1.0

        def entropy(name: str) -> Tensor:
            return F.cross_entropy(extra[name], target.labels)

        losses = {
            "cross_entropy": half * entropy("master"),
            "part": half * entropy("part"),
            "attention": entropy("attention"),
            "distillation": o.distillation
            * distillation_loss(extra["master"], extra["part"], o.temperature, detach=o.detach),
        }
        if o.shared_head:
            losses["shared"] = half * (entropy("shared") + entropy("shared_part"))
        return losses

    def draw(self, images: Tensor) -> dict[str, Tensor]:
        """What the two nets see: the image that keeps the structure, and one channel's detail."""
        _, attention = self.look(images)
        structure = structure_map(attention, reduction=self.options.reduction)
        strongest = attention.amax(dim=(2, 3)).argmax(dim=1)
        return {
            "sampled, structure": self.sample(images, structure, self.options.squared),
            "sampled, detail": self.sample(images, detail_map(attention, strongest)),
        }

    def _density(self, structure: Tensor, size: int) -> Tensor:
        """(B, h, w): how many samples fall into each cell of the map, which is where the master net looks."""
        where = sampling_coordinates(
            structure, self.options.size, size, size, reading=self.options.reading, squared=self.options.squared
        )
        rows, columns = (
            _counts(axis, cells, size) for axis, cells in zip((where.y, where.x), structure.shape[1:], strict=True)
        )
        return rows[:, :, None] * columns[:, None, :]


def _counts(places: Tensor, cells: int, size: int) -> Tensor:
    """(B, cells): how many of the sorted places (B, n), in pixels of `size`, fall into each of the equal cells."""
    edges = torch.arange(1, cells, device=places.device, dtype=places.dtype) * size / cells - 0.5
    below = torch.searchsorted(places.contiguous(), edges.expand(len(places), -1).contiguous()).float()
    whole = below.new_full((len(places), 1), places.shape[1])
    return torch.diff(torch.cat([torch.zeros_like(whole), below, whole], dim=1), dim=1)


def _resized(images: Tensor, size: int) -> Tensor:
    if images.shape[-1] == size:
        return images
    small = F.interpolate(images.float(), size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return small.round().clamp(0, 255).to(torch.uint8)


class _Dilated(nn.Module):
    """One 3 x 3 convolution applied at several dilations, the ReLUs of the results summed."""

    def __init__(self, channels: int, dilations: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        self.dilations = dilations
        weight = torch.empty(channels, channels, 3, 3)
        self.weight = nn.Parameter(nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        maps = [F.relu(F.conv2d(x, self.weight, padding=d, dilation=d)) for d in self.dilations]
        return torch.stack(maps).sum(dim=0)

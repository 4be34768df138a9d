"""What a weight file is, and the input it expects: the same network from two files takes different pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a network wants its pixels: (x * scale / 255 - mean) / std of uint8 x, channels in `order`."""

    order: Literal["rgb", "bgr"]
    """Order of the channels."""
    scale: float
    """What white is before the mean is subtracted: 1 or 255."""
    mean: tuple[float, float, float]
    """Subtracted, in `order`, in units of `scale`."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divided by, in `order`."""

    def affine(self) -> tuple[Tensor, Tensor]:
        """The same as one factor and one offset a channel, each (3, 1, 1) float32 and correctly rounded."""
        std = torch.tensor(self.std, dtype=torch.float64)
        mean = torch.tensor(self.mean, dtype=torch.float64)
        factor, offset = self.scale / 255 / std, -mean / std
        return factor.float().view(3, 1, 1), offset.float().view(3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 RGB to (B, 3, H, W) float32 as the network wants it, in the same memory format."""
        factor, offset = self.affine()
        return self.apply(images, factor.to(images.device), offset.to(images.device))

    def apply(self, images: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
        """The same with `affine()` from where the images are, which spares a copy to the device at each call."""
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise TypeError(f"images are (B, 3, H, W) uint8 RGB, not {tuple(images.shape)} {images.dtype}")
        pixels = images.flip(1) if self.order == "bgr" else images
        return torch.addcmul(offset, pixels.float(), factor)


IMAGENET = InputSpec("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Colour statistics of ImageNet, which torchvision's networks are trained with."""


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """One weight file that recipes may name."""

    name: str
    """`<network>.<source>`."""
    network: str
    """The network it is for."""
    files: tuple[str, ...]
    """File names it may have."""
    format: Literal["safetensors", "pth", "matconvnet"]
    """How it is read."""
    input: InputSpec | None
    """None where the file itself says so."""
    taps: tuple[str, ...]
    """Layers it has the weights for."""
    url: str = ""
    """Official address; empty when there is none."""
    sha256: str = ""
    """SHA-256 in hex, or its first digits as far as they are published."""
    md5: tuple[str, ...] = ()
    """MD5 in hex of every published edition, the one at `url` first."""
    size: int | None = None
    """Length in bytes, where it is known."""
    original: bool = True
    """The weights of the network's authors, in whatever container; False for another training of the network."""
    note: str = ""
    """What it is, and where it comes from."""


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """A weight file on this machine."""

    spec: WeightSpec
    """Which file it is."""
    path: Path
    """Where it is."""
    sha256: str
    """Its SHA-256 in hex."""

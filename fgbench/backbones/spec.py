"""Descriptions of weight files and of the input that their networks expect."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fgbench.util.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Normalisation of the input: (x * scale / 255 - mean) / std of uint8 x, with the channels in `order`.

    Two weight files of one network may have different normalisations.
    """

    order: Literal["rgb", "bgr"]
    """Order of the channels."""
    scale: float
    """Value of white before the mean is subtracted: 1 or 255."""
    mean: tuple[float, float, float]
    """Mean of each channel, in `order`, in units of `scale`."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divisor of each channel, in `order`."""

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return the factor and the offset of each channel, both (3, 1, 1) float32 and correctly rounded."""
        std = torch.tensor(self.std, dtype=torch.float64)
        mean = torch.tensor(self.mean, dtype=torch.float64)
        factor, offset = self.scale / 255 / std, -mean / std
        return factor.float().view(3, 1, 1), offset.float().view(3, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) uint8 RGB to network input (B, 3, H, W) float32 in the same memory format."""
        factor, offset = self.affine()
        return self.apply(images, factor.to(images.device), offset.to(images.device))

    def apply(self, images: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
        """Map images to network input with the tensors of `affine()` on the device of the images.

        This saves a copy to the device in each call.

        Args:
            images: (B, 3, H, W) uint8 RGB.
            factor: (3, 1, 1) float32.
            offset: (3, 1, 1) float32.

        Raises:
            ArgumentError: The images have another shape or type.
        """
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise ArgumentError(f"images must be (B, 3, H, W) uint8 RGB, not {tuple(images.shape)} {images.dtype}")
        pixels = images.flip(1) if self.order == "bgr" else images
        return torch.addcmul(offset, pixels.float(), factor)


IMAGENET = InputSpec("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Colour statistics of ImageNet, used by the networks of torchvision."""


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """A published weight file that recipes may name."""

    name: str
    """`<network>.<source>`."""
    network: str
    """Name of the network."""
    files: tuple[str, ...]
    """Possible file names."""
    format: Literal["safetensors", "pth", "matconvnet"]
    """File format."""
    input: InputSpec | None
    """Normalisation of the input; None if the file contains it."""
    taps: tuple[str, ...]
    """Taps for which the file has weights."""
    url: str = ""
    """Official address; empty if there is none."""
    sha256: str = ""
    """SHA-256 in hex, or the first digits that are published."""
    md5: tuple[str, ...] = ()
    """MD5 in hex of every published edition, the one at `url` first."""
    size: int | None = None
    """Size in bytes; None if it is unknown."""
    original: bool = True
    """True for the weights of the authors of the network, in any format; False for another training."""
    note: str = ""
    """Description and origin."""

    @property
    def has_hash(self) -> bool:
        """True if a published hash is known, so that a file can be verified."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file on this machine."""

    spec: WeightSpec
    """The published file that it is."""
    path: Path
    sha256: str
    """SHA-256 in hex."""

"""Weight files, and the input each of them expects: the same network from two files takes different pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fgbench.registry import Registry


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a network wants its pixels."""

    order: Literal["rgb", "bgr"]
    """Order of the channels."""
    scale: float
    """What white is before the mean is subtracted: 1 or 255."""
    mean: tuple[float, float, float]
    """Subtracted, in `order`."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divided by, in `order`."""

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 RGB to (B, 3, H, W) float32 as the network wants it, in the same memory format."""
        pixels = images.flip(1) if self.order == "bgr" else images
        # (x * scale / 255 - mean) / std as one multiplication and one addition a channel
        std = torch.tensor(self.std, dtype=torch.float64)
        factor = (self.scale / 255 / std).float().view(3, 1, 1).to(images.device)
        offset = (-torch.tensor(self.mean, dtype=torch.float64) / std).float().view(3, 1, 1).to(images.device)
        return torch.addcmul(offset, pixels.float(), factor)


IMAGENET = InputSpec("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """One weight file that recipes may name."""

    name: str
    """`<network>.<source>`."""
    network: str
    files: tuple[str, ...]
    """File names it may have."""
    format: Literal["safetensors", "pth", "matconvnet"]
    input: InputSpec | None
    """None where the file itself says so."""
    taps: tuple[str, ...]
    """Layers it has the weights for."""
    url: str = ""
    """Official address; empty when there is none."""
    sha256: str = ""
    """SHA-256 in hex, or its first digits as far as they are published."""
    note: str = ""
    """What it is, and where it comes from."""


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """A weight file on this machine."""

    spec: WeightSpec
    path: Path
    sha256: str


weight_specs: Registry[WeightSpec] = Registry("weight file")

VGG16_CONV, VGG16_ALL = ("relu5_3", "conv5_3"), ("relu5_3", "conv5_3", "relu7")
_SPECS = (
    WeightSpec(
        "vgg16.matconvnet",
        "vgg16",
        ("imagenet-vgg-verydeep-16.mat",),
        "matconvnet",
        None,
        VGG16_ALL,
        url="https://www.vlfeat.org/matconvnet/models/imagenet-vgg-verydeep-16.mat",
        note="the papers' D-Net, with fc6 and fc7",
    ),
    WeightSpec(
        "vgg16.caffe",
        "vgg16",
        ("vgg16-caffe-features-fp16.safetensors",),
        "safetensors",
        InputSpec("bgr", 255.0, (103.939, 116.779, 123.68)),
        VGG16_CONV,
        sha256="eec883f1d532371a6908ad84fff8f4b62b0bc82e230e23837774177fdefc7bd8",
        note="the original Caffe weights of the convolutions, as float16",
    ),
    WeightSpec(
        "vgg16.tv_features",
        "vgg16",
        ("vgg16_features-amdegroot-88682ab5.pth",),
        "pth",
        InputSpec("rgb", 1.0, (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
        VGG16_CONV,
        url="https://download.pytorch.org/models/vgg16_features-amdegroot-88682ab5.pth",
        sha256="88682ab5",
        note="torchvision's VGG16_Weights.IMAGENET1K_FEATURES: the original convolutions for RGB input",
    ),
    WeightSpec(
        "vgg16.torchvision",
        "vgg16",
        ("vgg16-397923af.pth",),
        "pth",
        IMAGENET,
        VGG16_ALL,
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af",
        note="trained anew by torchvision; not the papers' weights",
    ),
    WeightSpec(
        "vggm.matconvnet",
        "vggm",
        ("imagenet-vgg-m.mat",),
        "matconvnet",
        None,
        ("relu5", "conv5", "relu7"),
        url="https://www.vlfeat.org/matconvnet/models/imagenet-vgg-m.mat",
        note="the papers' M-Net",
    ),
    WeightSpec(
        "squeezenet1_1.onnx",
        "squeezenet1_1",
        ("squeezenet1_1.safetensors",),
        "safetensors",
        IMAGENET,
        ("features", "pool"),
        sha256="c64ee0f7613d1e1522b079ed86cc4d874b8c3822c26dd1f1f33f4d910c85ae75",
        note="ONNX model zoo",
    ),
    WeightSpec(
        "squeezenet1_1.torchvision",
        "squeezenet1_1",
        ("squeezenet1_1-b8a52dc0.pth",),
        "pth",
        IMAGENET,
        ("features", "pool"),
        url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        sha256="b8a52dc0",
        note="torchvision's SqueezeNet1_1_Weights.IMAGENET1K_V1",
    ),
)
for _spec in _SPECS:
    weight_specs(_spec.name)(_spec)

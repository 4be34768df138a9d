"""Construction of the networks up to a tap, with random weights."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

import fgbench.util.torch_compat  # noqa: F401 - before the first import of torchvision or timm
from fgbench.backbones import tiny
from fgbench.backbones.matconvnet_layers import Pool, ResponseNorm
from fgbench.backbones.spec import IMAGENET, InputSpec
from fgbench.layers.grid import Grid
from fgbench.util.errors import FgbenchError, nearest

TAPS = {
    "vgg16": ("relu5_3", "relu5_3_ceil", "conv5_3", "pool", "relu7", "fcn7", "fcn7_same"),
    "vgg19": ("relu5_4", "conv5_4", "pool", "relu7"),
    "vggm": ("relu5", "conv5", "relu7"),
    "squeezenet1_1": ("features", "pool"),
    "tiny_d": ("conv", "pool"),
    "tiny_m": ("conv", "pool"),
}
"""Taps by network: the layers whose output it can return, the last map first. Models of timm have `TIMM_TAPS`."""
TIMM_TAPS = ("features", "features8", "pool")
CEIL = "_ceil"
"""End of the name of a tap whose pooling layers keep the rest of an odd side, as those of Caffe do.

An image of 500 px then has 32 x 32 cells instead of 31 x 31."""
DENSE_TAPS = {"fcn7", "fcn7_same"}
"""Taps with fc7 of VGG-16 as a convolution: `fcn7` without padding of fc6, `fcn7_same` with zero padding, which gives
an output for every cell of the last map."""
VECTOR_TAPS = {"relu7", "pool"}
"""Taps that return a vector; the others return a map."""
UNUSED_LAYERS = ("classifier",)
"""Beginnings of the names of layers in published files that not every tap uses."""
FC_PX = 224
"""Side in pixels of the images that fully connected layers need."""
TINY_INPUT = InputSpec("rgb", 1.0, (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))
GRIDS = {
    ("vgg16", "relu5_3"): Grid(8.0, 16.0),
    ("vgg16", "relu5_3_ceil"): Grid(8.0, 16.0),
    ("vgg16", "conv5_3"): Grid(8.0, 16.0),
    ("vgg16", "fcn7"): Grid(112.0, 32.0),
    ("vgg16", "fcn7_same"): Grid(16.0, 32.0),
    ("tiny_d", "conv"): Grid(3.5, 8.0),
    ("tiny_m", "conv"): Grid(3.5, 8.0),
}
"""Centres of the receptive fields of the cells. The cells of other maps are taken to be evenly spaced in the image."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network up to a tap."""

    layers: nn.Module
    """Maps normalised pixels (B, 3, H, W) to a map (B, C, h, w) or a vector (B, C) or (B, C, 1, 1)."""
    channels: int
    """Number of output channels C."""
    input: InputSpec
    """Normalisation that `layers` expects with the usual weights; a weight file may have another."""


def split_stream(stream: str) -> tuple[str, str]:
    """Return the network and the tap of a stream `network:tap`.

    A label, as in `network:tap#head`, is dropped; it gives a stream weights of its own.

    Raises:
        FgbenchError: The network or the tap is unknown.
    """
    network, _, tap = stream.partition("#")[0].partition(":")
    if network.startswith("timm/"):
        taps: tuple[str, ...] = TIMM_TAPS
    elif network in TAPS:
        taps = TAPS[network]
    else:
        raise FgbenchError(f"no network {network!r}; {nearest(network, TAPS)}", "use timm/<model> for a model of timm")
    if tap not in taps:
        raise FgbenchError(f"{network} has no tap {tap!r}; {nearest(tap, taps)}")
    return network, tap


def build_network(network: str, tap: str) -> Network:
    """Build a network with random weights from the global generator.

    Raises:
        FgbenchError: timm has no such model, or the model does not have the tap.
    """
    return _timm(network, tap) if network.startswith("timm/") else _BUILDERS[network](network, tap)


def _vgg(network: str, tap: str) -> Network:
    """Build D-Net (Simonyan and Zisserman 2014, configuration D or E) with the layer names of torchvision."""
    features, inputs, deep = nn.Sequential(), 3, 4 if network == "vgg19" else 3
    for block, outputs in enumerate((64, 128, 256, 512, 512)):
        for _ in range(2 if block < 2 else deep):
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            features.extend((convolution, nn.ReLU(inplace=True)))
            inputs = outputs
        features.append(nn.MaxPool2d(2, ceil_mode=tap.endswith(CEIL)))
    if tap == "relu7":
        return Network(FullyConnected(features), 4096, IMAGENET)
    maps = nn.Sequential(*list(features)[:-2])
    if not tap.startswith("conv"):
        maps.append(nn.ReLU())  # not in place, because its output is returned
    layers = nn.Sequential(OrderedDict(features=maps))
    if tap == "pool":
        layers.add_module("pool", nn.AdaptiveAvgPool2d(1))
    return Network(layers, 512, IMAGENET)


class FullyConnected(nn.Module):
    """VGG-16 or VGG-19 up to relu7 for images of 224 px, where the adaptive pooling of torchvision has no effect.

    It has no dropout, as the networks of MatConvNet, which the official code of B-CNN fine-tunes.
    """

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Identity()),
            *(nn.Linear(4096, 4096), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, 224, 224) to (B, 4096)."""
        output: Tensor = self.classifier(self.features(x).flatten(1))
        return output


def _vggm(network: str, tap: str) -> Network:
    """Build M-Net (Chatfield et al. 2014, CNN-M); its maps have 27 x 27 cells at 448 px."""

    def norm(channels: int) -> nn.Module:
        return ResponseNorm(channels, 5, 2.0, 1e-4, 0.75)

    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, 96, 7, stride=2),
        "relu1": nn.ReLU(),
        "norm1": norm(96),
        "pool1": Pool("max", (3, 3), (2, 2), (0, 0, 0, 0)),
        "conv2": nn.Conv2d(96, 256, 5, stride=2, padding=1),
        "relu2": nn.ReLU(),
        "norm2": norm(256),
        "pool2": Pool("max", (3, 3), (2, 2), (0, 1, 0, 1)),
        "conv3": nn.Conv2d(256, 512, 3, padding=1),
        "relu3": nn.ReLU(),
        "conv4": nn.Conv2d(512, 512, 3, padding=1),
        "relu4": nn.ReLU(),
        "conv5": nn.Conv2d(512, 512, 3, padding=1),
        "relu5": nn.ReLU(),
    }
    if tap == "relu7":
        layers |= {
            "pool5": Pool("max", (3, 3), (2, 2), (0, 0, 0, 0)),
            "fc6": nn.Conv2d(512, 4096, 6),
            "relu6": nn.ReLU(),
            "fc7": nn.Conv2d(4096, 4096, 1),
            "relu7": nn.ReLU(),
        }
    elif tap == "conv5":
        del layers["relu5"]
    for layer in layers.values():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    spec = InputSpec("rgb", 255.0, (123.68, 116.779, 103.939))
    return Network(nn.Sequential(OrderedDict(layers)), 4096 if tap == "relu7" else 512, spec)


def _squeezenet(network: str, tap: str) -> Network:
    """Build SqueezeNet 1.1 (Iandola et al. 2016) of torchvision."""
    from torchvision.models import squeezenet1_1

    layers = nn.Sequential(OrderedDict(features=squeezenet1_1(weights=None).features))
    if tap == "pool":
        layers.add_module("pool", nn.AdaptiveAvgPool2d(1))
    return Network(layers, 512, IMAGENET)


def _tiny(network: str, tap: str) -> Network:
    """Build one of the two tiny networks."""
    layers, channels = (tiny.tiny_d(), 64) if network == "tiny_d" else (tiny.tiny_m(), 48)
    if tap == "pool":
        layers.append(nn.AdaptiveAvgPool2d(1))
    return Network(layers, channels, TINY_INPUT)


class _TimmModel(nn.Module):
    """A model of timm without its classifier."""

    def __init__(self, model: nn.Module, name: str, pool: bool) -> None:
        super().__init__()
        self.model, self.name, self.pool = model, name, pool

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to a map (B, C, h, w) or a vector (B, C)."""
        features: Tensor = self.model.forward_features(x)  # type: ignore[operator]
        if self.pool:
            vector: Tensor = self.model.forward_head(features, pre_logits=True)  # type: ignore[operator]
            return vector
        channels = self.model.num_features
        if features.dim() == 4 and features.shape[1] == channels:
            return features
        if features.dim() == 4 and features.shape[3] == channels:
            return features.permute(0, 3, 1, 2)  # Swin, for example, has channels last
        raise FgbenchError(f"{self.name} returns tokens {tuple(features.shape)}, not a map", "use its tap pool")


def _timm(network: str, tap: str) -> Network:
    """Build a model of timm without its classifier."""
    import timm

    name = network.removeprefix("timm/")
    if not timm.is_model(name):
        raise FgbenchError(f"timm has no model {name!r}; {nearest(name, timm.list_models())}")
    if tap == "features8":
        try:
            model: Any = timm.create_model(name, pretrained=False, num_classes=0, output_stride=8)
        except (TypeError, AssertionError, RuntimeError) as error:  # the error depends on the kind of model
            raise FgbenchError(f"{network} has no maps of stride 8: {error}", "use its tap features") from error
    else:
        model = timm.create_model(name, pretrained=False, num_classes=0)
    config = model.pretrained_cfg
    channels = model.num_features if tap != "pool" else getattr(model, "head_hidden_size", model.num_features)
    spec = InputSpec("rgb", 1.0, tuple(config["mean"]), tuple(config["std"]))
    return Network(_TimmModel(model, network, tap == "pool"), int(channels), spec)


_BUILDERS: dict[str, Callable[[str, str], Network]] = {
    "vgg16": _vgg,
    "vgg19": _vgg,
    "vggm": _vggm,
    "squeezenet1_1": _squeezenet,
    "tiny_d": _tiny,
    "tiny_m": _tiny,
}

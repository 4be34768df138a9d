"""Networks cut at a layer, that take uint8 RGB images whatever their weight file expects."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import fgbench.torch_compat  # noqa: F401 - before the first import of torchvision or timm
from fgbench.backbones import tiny
from fgbench.backbones.matconvnet import read_matconvnet
from fgbench.backbones.spec import IMAGENET, FoundWeights, InputSpec
from fgbench.backbones.weights import find_file, find_weights, load_into, read_state, remembered_hash
from fgbench.errors import FgbenchError, MissingError, nearest

TAPS = {
    "vgg16": ("relu5_3", "conv5_3", "relu7"),
    "vggm": ("relu5", "conv5", "relu7"),
    "squeezenet1_1": ("features", "pool"),
    "tiny_d": ("conv", "pool"),
    "tiny_m": ("conv", "pool"),
}
TIMM_TAPS = ("features", "pool")
TINY_INPUT = InputSpec("rgb", 1.0, (0.45, 0.45, 0.45), (0.25, 0.25, 0.25))
VECTOR_TAPS = {"relu7", "pool"}
"""Taps that give a vector an image; the others give a map."""


@dataclass(frozen=True, slots=True)
class StreamWeights:
    """A stream of a recipe, with the weights it will have."""

    stream: str
    """`network:tap`."""
    name: str
    """Name of the weight file."""
    sha256: str
    """Of the file; for a network trained here, the hash of how it is trained."""
    path: Path | None
    """None for a network trained here."""
    official: bool
    """True when it is the file the recipe names first for this network, or trained here."""

    @property
    def network(self) -> str:
        """The part of the stream before the colon."""
        return split_stream(self.stream)[0]

    @property
    def trained_here(self) -> bool:
        """True for the small networks of the `quick` profile."""
        return self.path is None


class Backbone(nn.Module):
    """A network up to a tap.

    Args:
        name: of the network.
        tap: the layer whose output is given.
        layers: maps normalised pixels to that output.
        spec: the input `layers` expects.
    """

    def __init__(self, name: str, tap: str, layers: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.name, self.tap, self.input = name, tap, spec
        self.layers = layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.channels = self._channels()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 RGB to a map (B, C, h, w), or to a vector (B, C) for the taps relu7 and pool."""
        out: Tensor = self.layers(self.input(images))
        if self.tap not in VECTOR_TAPS:
            return out
        if self.tap == "relu7" and out.dim() == 4 and out.shape[2:] != (1, 1):
            raise FgbenchError(
                f"{self.name}:{self.tap} is fully connected and takes 224 px images, not {images.shape[-1]} px",
                "use a pipeline that ends in center_crop(224)",
            )
        return out.flatten(1)

    def _channels(self) -> int:
        training = self.layers.training
        self.layers.eval()
        with torch.inference_mode():
            size = 224 if self.tap == "relu7" else 128
            count = int(self(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1])
        self.layers.train(training)
        return count


def split_stream(stream: str) -> tuple[str, str]:
    """`network:tap` in two.

    Raises:
        FgbenchError: an unknown network or tap, with the nearest known one.
    """
    network, _, tap = stream.partition(":")
    if network.startswith("timm/"):
        taps: tuple[str, ...] = TIMM_TAPS
    elif network in TAPS:
        taps = TAPS[network]
    else:
        raise FgbenchError(f"no network {network!r}; {nearest(network, TAPS)}", "or timm/<model> for any model of timm")
    if tap not in taps:
        raise FgbenchError(f"{network} has no tap {tap!r}; {nearest(tap, taps)}")
    return network, tap


def resolve_stream(stream: str, accepted: tuple[str, ...]) -> StreamWeights:
    """Which weights a stream will have on this machine.

    Args:
        stream: `network:tap`.
        accepted: weight files by name in order of preference; empty for any.

    Raises:
        MissingError: none of them is here.
        FgbenchError: an unknown network or tap.
    """
    network, tap = split_stream(stream)
    if network.startswith("tiny_"):
        from fgbench.pretrain import pretraining_hash

        return StreamWeights(stream, f"{network}, trained here", pretraining_hash(network), None, True)
    if network.startswith("timm/"):
        path = _timm_file(network)
        return StreamWeights(stream, path.name, remembered_hash(path), path, True)
    found = find_weights(network, tap, accepted)
    first = next((name for name in accepted if name.partition(".")[0] == network), found.spec.name)
    return StreamWeights(stream, found.spec.name, found.sha256, found.path, found.spec.name == first)


def load_stream(weights: StreamWeights) -> Backbone:
    """The network of a stream with the weights it was resolved to."""
    network, tap = split_stream(weights.stream)
    if weights.trained_here:
        from fgbench.pretrain import pretrained_tiny

        return load_backbone(network, tap, weights=pretrained_tiny(network))
    return load_backbone(network, tap, weights=weights.path, name=weights.name)


def load_backbone(
    network: str, tap: str, *, weights: Path | None = None, name: str = "", pretrained: bool = True, seed: int = 0
) -> Backbone:
    """A network up to a tap, in inference mode.

    Args:
        network: `vgg16`, `vggm`, `squeezenet1_1`, `timm/<model>`, `tiny_d` or `tiny_m`.
        tap: layer; see `TAPS`.
        weights: a weight file; None to look for one.
        name: which known weight file `weights` is, as that decides the input.
        pretrained: False for random weights from `seed`, which leaves the global generator alone.
        seed: of the random weights.

    Raises:
        MissingError: no weights are here.
        FgbenchError: an unknown network or tap, or a file that does not fit.
    """
    split_stream(f"{network}:{tap}")
    if network in {"vgg16", "squeezenet1_1", "vggm"} and pretrained:
        found = find_weights(network, tap, (name,) if name else ())
        return _from_file(network, tap, found)
    if network == "vggm":
        raise FgbenchError("vggm is read from its weight file and has no random form", "use pretrained=True")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers, spec = _LAYERS.get(network, _timm)(network, tap)
    backbone = Backbone(network, tap, layers, spec)
    if pretrained:
        path = weights or (_timm_file(network) if network.startswith("timm/") else None)
        if path is None:
            raise MissingError("weights", f"{network} needs a weight file", "pass one, or pretrained=False")
        state = read_state(path)
        prefix = "" if network.startswith("tiny_") else "layers.model."
        load_into(backbone, {f"{prefix}{key}": value for key, value in state.items()}, path)
    return backbone.eval()


def _from_file(network: str, tap: str, found: FoundWeights) -> Backbone:
    if found.spec.format == "matconvnet":
        layers, spec = read_matconvnet(found.path)
        return Backbone(network, tap, _cut(layers, tap, found.path), spec).eval()
    layers, _ = _LAYERS[network](network, tap)
    state = read_state(found.path)
    load_into(layers, state, found.path)
    return Backbone(network, tap, layers, found.spec.input or IMAGENET).eval()


def _cut(layers: nn.Sequential, tap: str, path: Path) -> nn.Sequential:
    names = [name for name, _ in layers.named_children()]
    if tap not in names:
        raise FgbenchError(f"{path} has no layer {tap!r}; {nearest(tap, names)}")
    return layers[: names.index(tap) + 1]


class _Classifier(nn.Module):
    """VGG-16 up to fc7: `features` and `classifier` as torchvision names them."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features, self.classifier = features, classifier

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        if x.shape[2:] != (7, 7):
            raise FgbenchError(f"fc6 takes a map of 7 x 7, not {x.shape[2]} x {x.shape[3]}", "use 224 px images")
        result: Tensor = self.classifier(x.flatten(1))
        return result


def _vgg16(network: str, tap: str) -> tuple[nn.Module, InputSpec]:
    from torchvision.models import vgg16

    whole = vgg16(weights=None, init_weights=False)
    if tap == "relu7":
        return _Classifier(whole.features, whole.classifier[:5]), IMAGENET
    layers = nn.Sequential(OrderedDict(features=whole.features[: 30 if tap == "relu5_3" else 29]))
    return layers, IMAGENET


def _squeezenet(network: str, tap: str) -> tuple[nn.Module, InputSpec]:
    from torchvision.models import squeezenet1_1

    layers = nn.Sequential(OrderedDict(features=squeezenet1_1(weights=None).features))
    if tap == "pool":
        layers.add_module("pool", nn.AdaptiveAvgPool2d(1))
    return layers, IMAGENET


def _tiny(network: str, tap: str) -> tuple[nn.Module, InputSpec]:
    layers = {"tiny_d": tiny.tiny_d, "tiny_m": tiny.tiny_m}[network]()
    if tap == "pool":
        layers.append(nn.AdaptiveAvgPool2d(1))
    return layers, TINY_INPUT


class _Timm(nn.Module):
    """A model of timm without its classifier."""

    def __init__(self, model: nn.Module, pool: bool) -> None:
        super().__init__()
        self.model, self.pool = model, pool

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.model.forward_features(x)  # type: ignore[operator]
        if not self.pool:
            return features
        result: Tensor = self.model.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return result


def _timm(network: str, tap: str) -> tuple[nn.Module, InputSpec]:
    import timm

    model_name = network.removeprefix("timm/")
    if not timm.is_model(model_name):
        raise FgbenchError(f"timm has no model {model_name!r}; {nearest(model_name, timm.list_models())}")
    model = timm.create_model(model_name, pretrained=False, num_classes=0)
    config = model.pretrained_cfg
    return _Timm(model, tap == "pool"), InputSpec("rgb", 1.0, tuple(config["mean"]), tuple(config["std"]))


def _timm_file(network: str) -> Path:
    model_name = network.removeprefix("timm/")
    path = find_file((f"{model_name}.safetensors", f"{model_name}.pth"))
    if path is None:
        raise MissingError(
            "weights",
            f"{network} needs {model_name}.safetensors in FGBENCH_WEIGHTS",
            f"save timm.create_model({model_name!r}, pretrained=True).state_dict() there",
        )
    return path


_LAYERS: dict[str, Callable[[str, str], tuple[nn.Module, InputSpec]]] = {
    "vgg16": _vgg16,
    "squeezenet1_1": _squeezenet,
    "tiny_d": _tiny,
    "tiny_m": _tiny,
}

"""Loading of backbones with the weights of a file."""

from pathlib import Path

import torch
from torch import nn

from fgbench.backbones.backbone import Backbone
from fgbench.backbones.dense_vgg import dense_vgg, keep_odd_sides
from fgbench.backbones.matconvnet import check_same_weights, read_matconvnet
from fgbench.backbones.networks import (
    CEIL,
    DENSE_TAPS,
    TAPS,
    UNUSED_LAYERS,
    Network,
    build_network,
    split_stream,
)
from fgbench.backbones.small_weights import SMALL_NETWORKS, small_weights
from fgbench.backbones.spec import WeightFile, WeightSpec
from fgbench.backbones.state_dict import check_no_other_layers, load_into, read_state
from fgbench.backbones.timm_weights import find_timm_weights, is_published, unused_layers
from fgbench.backbones.weights import cached_hash, find_weights
from fgbench.util.errors import MissingError


def load_backbone(
    network: str, tap: str, *, weights: str | Path | None = None, name: str = "", pretrained: bool = True, seed: int = 0
) -> Backbone:
    """Load a network up to a tap, in inference mode.

    Args:
        network: A name in `TAPS`, or `timm/<model>`.
        tap: The last layer; see `TAPS`.
        weights: A weight file; None to search for one.
        name: Name of the known weight file that `weights` is, or that is searched for; it decides the normalisation of
            the input. Empty to identify the file by its name or content.
        pretrained: False for random weights from `seed`. The global generators are not changed.
        seed: Seed of the random weights.

    Raises:
        MissingError: There is no weight file on this machine.
        FgbenchError: The network or the tap is unknown, or the file does not fit.
    """
    split_stream(f"{network}:{tap}")
    path = Path(weights) if weights is not None else None
    # A dense tap is made from the fully connected layers.
    if tap in DENSE_TAPS:
        whole = load_backbone(network, "relu7", weights=weights, name=name, pretrained=pretrained, seed=seed)
        dense = dense_vgg(whole.layers, same=tap == "fcn7_same")
        return Backbone(network, tap, dense, whole.input, whole.channels, whole.weights).eval()
    if not pretrained:
        random = _random(network, tap, seed)
        return Backbone(network, tap, random.layers, random.input, random.channels).eval()
    if network in SMALL_NETWORKS or network.startswith("timm/"):
        return _load_unpublished(network, tap, path).eval()
    file = find_weights(network, tap, (name,) if name else (), path)
    # A MatConvNet file describes its own layers.
    if file.spec.format == "matconvnet":
        last = TAPS[network][0] if tap == "pool" else tap.removesuffix(CEIL)
        layers, spec, channels = read_matconvnet(file.path, last, verified=file.spec.has_hash)
        if not file.spec.has_hash:
            check_same_weights(layers, _empty(network, last).layers, f"{network} up to {last}", file.path)
        if tap.endswith(CEIL):
            layers.apply(keep_odd_sides)
        if tap == "pool":
            layers.add_module("pool", nn.AdaptiveAvgPool2d(1))
        return Backbone(network, tap, layers, spec, channels, file).eval()
    # Other files hold only weights.
    verified = file.spec.has_hash
    state = read_state(file.path, verified=verified)
    empty = _empty(network, tap)
    load_into(empty.layers, state, file.path, verified=verified)
    if not verified:
        check_no_other_layers(empty.layers, state, UNUSED_LAYERS, file.path, network)
    return Backbone(network, tap, empty.layers, file.spec.input or empty.input, empty.channels, file).eval()


def _random(network: str, tap: str, seed: int) -> Network:
    """Build a network with random weights from a seed."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also seed the generators of GPUs, which are not restored.
        torch.default_generator.manual_seed(seed)
        return build_network(network, tap)


def _empty(network: str, tap: str) -> Network:
    """Build a network with uninitialised weights, because random weights of VGG-16 take seconds."""
    with torch.device("meta"):
        empty = build_network(network, tap)
    if any(True for _ in empty.layers.buffers()):
        return _random(network, tap, 0)  # a computed buffer may not be in the weight file
    empty.layers.to_empty(device="cpu")
    return empty


def _load_unpublished(network: str, tap: str, path: Path | None) -> Backbone:
    """Load a network without published weight files: a small network or a model of timm."""
    random = _random(network, tap, 0)
    is_timm = network.startswith("timm/")
    if path is None:
        path = find_timm_weights(network) if is_timm else small_weights(network)
    if not path.is_file():
        raise MissingError("weights", f"there is no weight file {path}")
    file_format = "safetensors" if path.suffix == ".safetensors" else "pth"
    spec = WeightSpec(path.name, network, (path.name,), file_format, random.input, (tap,))  # type: ignore[arg-type]
    file = WeightFile(spec, path, cached_hash(path))
    backbone = Backbone(network, tap, random.layers, random.input, random.channels, file)
    target = random.layers.get_submodule("model") if is_timm else backbone
    verified = is_timm and is_published(network, file.sha256)
    state = read_state(path, verified=verified)
    load_into(target, state, path, verified=verified)
    if not verified:
        check_no_other_layers(target, state, unused_layers(network) if is_timm else (), path, network)
    return backbone

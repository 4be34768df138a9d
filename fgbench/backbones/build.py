"""Networks cut at a tap, that take uint8 RGB images whatever their weight file expects."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from fgbench.backbones.dense_vgg import DenseVgg, dense_vgg
from fgbench.backbones.map_cache import KeptMaps
from fgbench.backbones.matconvnet import read_matconvnet
from fgbench.backbones.networks import DENSE_TAPS, FC_PX, GRIDS, TAPS, VECTOR_TAPS, Network, build_network, split_stream
from fgbench.backbones.spec import FoundWeights, InputSpec, WeightSpec
from fgbench.backbones.state_dict import load_into, read_state
from fgbench.backbones.weights import find_file, find_weights, remembered_hash
from fgbench.layers.grid import Grid
from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.memory import freed_memory_kept

PIECE_PIXELS = 2 * 448 * 448
"""Pixels of the images that go through a network on a CPU together, where no gradient is asked for."""


class Backbone(nn.Module):
    """A network up to a tap.

    Attributes:
        name: of the network.
        tap: the layer whose output is given.
        channels: C of the output.
        input: what `layers` expects; `forward` sees to it.
        weights: the file its weights came from; None for random ones.

    Args:
        name: of the network.
        tap: the layer whose output is given.
        layers: maps normalised pixels to that output.
        spec: the input `layers` expects.
        channels: C of the output; None to find out by a forward pass.
        weights: the file its weights came from.
    """

    _factor: Tensor
    _offset: Tensor

    def __init__(
        self,
        name: str,
        tap: str,
        layers: nn.Module,
        spec: InputSpec,
        channels: int | None = None,
        weights: FoundWeights | None = None,
    ) -> None:
        super().__init__()
        self.name, self.tap, self.input, self.weights = name, tap, spec, weights
        self.layers = layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        factor, offset = spec.affine()
        # Kept out of the state, so that a trained backbone is its layers and nothing else.
        self.register_buffer("_factor", factor, persistent=False)
        self.register_buffer("_offset", offset, persistent=False)
        self._cells: dict[int, tuple[int, int]] = {}
        self._kept: KeptMaps | None = None
        self.channels = self._count() if channels is None else channels

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 RGB to a map (B, C, h, w) float32, or to a vector (B, C) for the taps relu7 and pool.

        Raises:
            FgbenchError: the tap relu7 and images of another size than 224 px.
        """
        if self.tap == "relu7" and tuple(images.shape[2:]) != (FC_PX, FC_PX):
            raise FgbenchError(
                f"{self.name}:{self.tap} is fully connected and takes images of {FC_PX} x {FC_PX} px, "
                f"not {images.shape[2]} x {images.shape[3]}",
                f"use a pipeline that ends in center_crop({FC_PX})",
            )
        return self._compute(images) if self._kept is None else self._kept(images)

    def _compute(self, images: Tensor) -> Tensor:
        """What `forward` gives; on a CPU a few images at a time, whose maps are small enough to be used again."""
        few = max(1, PIECE_PIXELS // (images.shape[2] * images.shape[3]))
        if images.device.type != "cpu" or torch.is_grad_enabled() or self.training or len(images) <= few:
            return self._layers(images)
        with freed_memory_kept():
            return torch.cat([self._layers(piece) for piece in torch.split(images, few)])

    def _layers(self, images: Tensor) -> Tensor:
        pixels = self.input.apply(images, self._factor, self._offset).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.layers(pixels).float()
        return out.flatten(1) if self.tap in VECTOR_TAPS else out

    def keep(self, folder: Path, on_recall: Callable[[int], object]) -> None:
        """From now on `forward` computes each image once, and keeps what it gives in a folder; for a frozen network.

        Args:
            folder: of this network with these weights up to this tap.
            on_recall: called with how many images of a batch had been computed before this call.
        """
        self._kept = KeptMaps(folder, self._compute, on_recall)

    def with_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The last convolutional map (B, D, h, w), and what `forward` gives; for other than dense taps both are that.

        D is `map_channels`.
        """
        if not isinstance(self.layers, DenseVgg):
            out = self(images)
            return out, out
        pixels = self.input.apply(images, self._factor, self._offset).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.layers.maps(pixels)
        return maps.float(), self.layers.top(maps).float()

    @property
    def map_channels(self) -> int:
        """Channels of the map that `with_map` gives first."""
        return 512 if isinstance(self.layers, DenseVgg) else self.channels

    def cells(self, size: int) -> tuple[int, int]:
        """Height and width of the map that an image of `size` px gives.

        Raises:
            FgbenchError: the tap gives a vector.
        """
        if size not in self._cells:
            training = self.training
            self.eval()
            with torch.inference_mode():
                image = torch.zeros(1, 3, size, size, dtype=torch.uint8, device=self._factor.device)
                shape = self(image).shape
            self.train(training)
            if len(shape) != 4:
                raise FgbenchError(f"{self.name}:{self.tap} gives a vector, not a map")
            self._cells[size] = int(shape[2]), int(shape[3])
        return self._cells[size]

    def map_cells(self, size: int) -> tuple[int, int]:
        """The same of the map that `with_map` gives first."""
        return (-(-size // 16),) * 2 if isinstance(self.layers, DenseVgg) else self.cells(size)

    def grid(self, size: int) -> Grid:
        """Where the cells of the map lie in an image of `size` px."""
        stride = size / self.cells(size)[1]
        return GRIDS.get((self.name, self.tap)) or Grid(stride / 2, stride)

    def map_grid(self, size: int) -> Grid:
        """The same of the map that `with_map` gives first."""
        return GRIDS[self.name, "relu5_3"] if isinstance(self.layers, DenseVgg) else self.grid(size)

    def _count(self) -> int:
        training = self.layers.training
        self.layers.eval()
        with torch.inference_mode():
            size = FC_PX if self.tap == "relu7" else 128
            count = int(self(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1])
        self.layers.train(training)
        return count


def load_backbone(
    network: str, tap: str, *, weights: str | Path | None = None, name: str = "", pretrained: bool = True, seed: int = 0
) -> Backbone:
    """A network up to a tap, in inference mode; layers past the tap are dropped.

    Args:
        network: `vgg16`, `vggm`, `squeezenet1_1`, `timm/<model>`, `tiny_d` or `tiny_m`.
        tap: layer; see `TAPS`.
        weights: a weight file; None to look for one.
        name: which known weight file `weights` is, or which to look for, as that decides the input; empty to tell by
            its name or content.
        pretrained: False for random weights from `seed`, which leaves the global generators alone.
        seed: of the random weights.

    Raises:
        MissingError: no weights are here.
        FgbenchError: an unknown network or tap, or a file that does not fit.
    """
    split_stream(f"{network}:{tap}")
    path = Path(weights) if weights is not None else None
    if tap in DENSE_TAPS:
        whole = load_backbone(network, "relu7", weights=weights, name=name, pretrained=pretrained, seed=seed)
        dense = dense_vgg(whole.layers, same=tap == "fcn7_same")
        return Backbone(network, tap, dense, whole.input, whole.channels, whole.weights).eval()
    if not pretrained:
        built = _random(network, tap, seed)
        return Backbone(network, tap, built.layers, built.input, built.channels).eval()
    if network.startswith(("tiny_", "timm/")):
        return _plain(network, tap, path).eval()
    found = find_weights(network, tap, (name,) if name else (), path)
    if found.spec.format == "matconvnet":
        layers, spec, channels = read_matconvnet(found.path, TAPS[network][0] if tap == "pool" else tap)
        if tap == "pool":
            layers.add_module("pool", nn.AdaptiveAvgPool2d(1))
        return Backbone(network, tap, layers, spec, channels, found).eval()
    state = read_state(found.path)
    built = _empty(network, tap)
    load_into(built.layers, state, found.path)
    return Backbone(network, tap, built.layers, found.spec.input or built.input, built.channels, found).eval()


def _random(network: str, tap: str, seed: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the generators of GPUs as well, which are not restored.
        torch.default_generator.manual_seed(seed)
        return build_network(network, tap)


def _empty(network: str, tap: str) -> Network:
    """A network whose parameters are still to be set: drawing those of VGG-16 at random takes seconds."""
    with torch.device("meta"):
        built = build_network(network, tap)
    if any(True for _ in built.layers.buffers()):
        return _random(network, tap, 0)  # a buffer may be computed, and not be in the file
    built.layers.to_empty(device="cpu")
    return built


def _plain(network: str, tap: str, path: Path | None) -> Backbone:
    """A network whose weight files have no published names: its state, saved."""
    built = _random(network, tap, 0)
    is_timm = network.startswith("timm/")
    if path is None:
        if not is_timm:
            raise MissingError("weights", f"{network} has no published weights", "pass a file, or pretrained=False")
        path = timm_file(network)
    if not path.is_file():
        raise MissingError("weights", f"there is no weight file {path}")
    file_format = "safetensors" if path.suffix == ".safetensors" else "pth"
    spec = WeightSpec(path.name, network, (path.name,), file_format, built.input, (tap,))  # type: ignore[arg-type]
    found = FoundWeights(spec, path, remembered_hash(path))
    backbone = Backbone(network, tap, built.layers, built.input, built.channels, found)
    target = built.layers.get_submodule("model") if is_timm else backbone
    load_into(target, read_state(path), path)
    return backbone


def timm_file(network: str) -> Path:
    """The weight file of `timm/<model>`: `<model>.safetensors` in a weight folder, or from Hugging Face's cache.

    Raises:
        MissingError: it is in neither.
        FgbenchError: timm has no such model.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    name = network.removeprefix("timm/")
    if found := find_file((f"{name}.safetensors", f"{name}.pth")):
        return found
    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is not None and config.hf_hub_id:
        cached = try_to_load_from_cache(config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
        if isinstance(cached, str):
            return Path(cached)
    raise MissingError(
        "weights",
        f"timm/{name} needs {name}.safetensors in FGBENCH_WEIGHTS, or in the cache of Hugging Face",
        f"python -c \"import fgbench.torch_compat, timm; timm.create_model('{name}', pretrained=True)\"",
    )

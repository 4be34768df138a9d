"""Backbones: networks up to a tap that take uint8 RGB images and normalise them as their weight file expects."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from fgbench.backbones.dense_vgg import DenseVgg, dense_vgg, keep_odd_sides
from fgbench.backbones.map_cache import BF16_TOLERANCE, TOLERANCE, MapCache
from fgbench.backbones.matconvnet import check_same_weights, read_matconvnet
from fgbench.backbones.networks import (
    CEIL,
    DENSE_TAPS,
    FC_PX,
    GRIDS,
    TAPS,
    UNUSED_LAYERS,
    VECTOR_TAPS,
    Network,
    build_network,
    split_stream,
)
from fgbench.backbones.spec import InputSpec, WeightFile, WeightSpec
from fgbench.backbones.state_dict import check_no_other_layers, load_into, read_state
from fgbench.backbones.timm_weights import find_timm_weights, is_published, unused_layers
from fgbench.backbones.weights import cached_hash, find_weights
from fgbench.backbones.winograd import FastConvolutions
from fgbench.layers.grid import Grid
from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.memory import freed_memory_kept
from fgbench.util.numeric.precision import in_bfloat16

CHUNK_PIXELS = 2 * 448 * 448
"""Pixels in the images of one forward pass on a CPU without gradients."""


class Backbone(nn.Module):
    """A network up to a tap.

    Attributes:
        name: Name of the network.
        tap: The layer whose output is returned.
        channels: Number of output channels C.
        input: Normalisation of the input, which `forward` applies.
        weights: The weight file; None for random weights.
        uses_bf16: True to compute the layers in bfloat16. The output is float32.

    Args:
        name: Name of the network.
        tap: The layer whose output is returned.
        layers: Maps normalised pixels to that output.
        spec: Normalisation that `layers` expects.
        channels: Number of output channels C; None to find it by a forward pass.
        weights: The weight file; None for random weights.
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
        weights: WeightFile | None = None,
    ) -> None:
        super().__init__()
        self.name, self.tap, self.input, self.weights, self.uses_bf16 = name, tap, spec, weights, False
        self.layers = layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        factor, offset = spec.affine()
        # Not part of the state, which consists of the layers alone.
        self.register_buffer("_factor", factor, persistent=False)
        self.register_buffer("_offset", offset, persistent=False)
        self._cells: dict[int, tuple[int, int]] = {}
        self._cache: MapCache | None = None
        self._compiled: Callable[[nn.Module, Tensor], Tensor] | None = None
        self._fast = FastConvolutions()
        self.channels = self._count_channels() if channels is None else channels

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) uint8 RGB to a map (B, C, h, w), or for the taps relu7 and pool to a vector (B, C).

        The output is float32.

        Raises:
            FgbenchError: The tap is relu7 and the images do not have 224 x 224 px.
        """
        if self.tap == "relu7" and tuple(images.shape[2:]) != (FC_PX, FC_PX):
            raise FgbenchError(
                f"{self.name}:{self.tap} is fully connected and needs images of {FC_PX} x {FC_PX} px, "
                f"not {images.shape[2]} x {images.shape[3]}",
                f"use a pipeline that ends in center_crop({FC_PX})",
            )
        return self._compute(images) if self._cache is None else self._cache(images)

    def _compute(self, images: Tensor) -> Tensor:
        """Run the layers; on a CPU in small chunks, whose maps fit in the cache of the processor."""
        chunk = max(1, CHUNK_PIXELS // (images.shape[2] * images.shape[3]))
        if images.device.type != "cpu" or torch.is_grad_enabled() or self.training or len(images) <= chunk:
            return self._run_layers(images)
        with freed_memory_kept():
            return torch.cat([self._run_layers(part) for part in torch.split(images, chunk)])

    def _run_layers(self, images: Tensor) -> Tensor:
        x = self._normalise(images)
        for part in self._parts:
            x = self._call(part, x)
        out = x.float()
        return out.flatten(1) if self.tap in VECTOR_TAPS else out

    @property
    def _parts(self) -> tuple[nn.Module, ...]:
        """The layers in one part, or those of a dense tap up to its map and after it."""
        return (self.layers.maps, self.layers.top) if isinstance(self.layers, DenseVgg) else (self.layers,)

    def _normalise(self, images: Tensor) -> Tensor:
        return self.input.apply(images, self._factor, self._offset).contiguous(memory_format=torch.channels_last)

    def _call(self, part: nn.Module, x: Tensor) -> Tensor:
        """Run a part of the layers; its compiled form only with gradients."""
        run = self._compiled if self._compiled and torch.is_grad_enabled() else run_part
        fast = x.device.type == "cpu" and not (torch.is_grad_enabled() or self.uses_bf16)
        with self._fast if fast else in_bfloat16(x.device.type, enabled=self.uses_bf16):
            return run(part, x)

    def compile_layers(self, backend: str) -> None:
        """Compile the layers by torch.compile for passes with gradients. The names of the parameters do not change."""
        self._compiled = torch.compile(run_part, backend=backend)

    def cache_outputs(self, folder: Path, on_recall: Callable[[int], object]) -> None:
        """Make `forward` compute each image only once and store its output in a folder; for a frozen network.

        Args:
            folder: Folder of this network with these weights up to this tap.
            on_recall: Receives, for each batch, the number of images whose output was stored before this call.
        """
        self._cache = MapCache(folder, self._compute, on_recall, BF16_TOLERANCE if self.uses_bf16 else TOLERANCE)

    def with_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last convolutional map (B, D, h, w) and the output of `forward`.

        D is `map_channels`. For taps other than the dense ones, both are the output of `forward`.
        """
        if not isinstance(self.layers, DenseVgg):
            out = self(images)
            return out, out
        maps = self._call(self.layers.maps, self._normalise(images))
        return maps.float(), self._call(self.layers.top, maps).float()

    @property
    def map_channels(self) -> int:
        """Number of channels D of the map that `with_map` returns."""
        return 512 if isinstance(self.layers, DenseVgg) else self.channels

    def cells(self, size: int) -> tuple[int, int]:
        """Return the height and width of the output map for an image with a side of `size` px.

        Raises:
            FgbenchError: The tap returns a vector.
        """
        if size not in self._cells:
            training = self.training
            self.eval()
            with torch.inference_mode():
                image = torch.zeros(1, 3, size, size, dtype=torch.uint8, device=self._factor.device)
                shape = self(image).shape
            self.train(training)
            if len(shape) != 4:
                raise FgbenchError(f"{self.name}:{self.tap} returns a vector, not a map")
            self._cells[size] = int(shape[2]), int(shape[3])
        return self._cells[size]

    def map_cells(self, size: int) -> tuple[int, int]:
        """Return the height and width of the map that `with_map` returns."""
        return (-(-size // 16),) * 2 if isinstance(self.layers, DenseVgg) else self.cells(size)

    def grid(self, size: int) -> Grid:
        """Return the positions of the cells of the output map in an image with a side of `size` px."""
        stride = size / self.cells(size)[1]
        return GRIDS.get((self.name, self.tap)) or Grid(stride / 2, stride)

    def map_grid(self, size: int) -> Grid:
        """Return the positions of the cells of the map that `with_map` returns."""
        return GRIDS[self.name, "relu5_3"] if isinstance(self.layers, DenseVgg) else self.grid(size)

    def _count_channels(self) -> int:
        training = self.layers.training
        self.layers.eval()
        with torch.inference_mode():
            size = FC_PX if self.tap == "relu7" else 128
            count = int(self(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1])
        self.layers.train(training)
        return count


def run_part(part: nn.Module, x: Tensor) -> Tensor:
    """Run layers: torch.compile compiles a function, but not an `nn.Sequential`."""
    output: Tensor = part(x)
    return output


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
    if network.startswith(("tiny_", "timm/")):
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
    """Load a network without published weight files: a saved state of a tiny network or a model of timm."""
    random = _random(network, tap, 0)
    is_timm = network.startswith("timm/")
    if path is None:
        if not is_timm:
            raise MissingError(
                "weights", f"{network} has no published weights", "pass a weight file, or pretrained=False"
            )
        path = find_timm_weights(network)
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

"""A network up to a tap that takes uint8 RGB images and normalises them as its weight file expects."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from fgbench.backbones.dense_vgg import DenseVgg
from fgbench.backbones.fast_convolutions import FastConvolutions
from fgbench.backbones.fixed_blocks import split_blocks
from fgbench.backbones.map_cache import BF16_TOLERANCE, TOLERANCE, MapCache
from fgbench.backbones.networks import FC_PX, GRIDS, VECTOR_TAPS
from fgbench.backbones.spec import InputSpec, WeightFile
from fgbench.layers.grid import Grid
from fgbench.util.errors import FgbenchError
from fgbench.util.memory import freed_memory_kept
from fgbench.util.numeric.precision import in_bfloat16, without_autocast

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
        uses_bf16: True to compute the layers in bfloat16. The output is float32. Fixed blocks have their own precision.
        cache: Maps images to the output, in the place of the layers; of a network with fixed blocks, to their output.

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
        self.cache: Callable[[Tensor], Tensor] | None = None
        self._compiled: Callable[[nn.Module, Tensor], Tensor] | None = None
        self._fast = FastConvolutions()
        self._split: tuple[nn.Sequential, nn.Sequential] | None = None  # a tuple, so that names of layers do not change
        self._fixed_bf16 = False
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
        return self._compute(images) if self.cache is None or self._split else self.cache(images)

    def _compute(self, images: Tensor) -> Tensor:
        """Run the layers; without gradients in chunks."""
        return (
            self._run_layers(images)
            if torch.is_grad_enabled() or self.training
            else _in_chunks(self._run_layers, images)
        )

    def _run_layers(self, images: Tensor) -> Tensor:
        x = self._input_of_parts(images)
        for part in self._parts:
            x = self._call(part, x, bf16=self.uses_bf16)
        out = x.float()
        return out.flatten(1) if self.tap in VECTOR_TAPS else out

    def _input_of_parts(self, images: Tensor) -> Tensor:
        """Return normalised pixels or, of a network with fixed blocks, the output of these blocks."""
        if not self._split:
            return self._normalise(images)
        with torch.no_grad(), without_autocast(images.device.type):
            return self.fixed_maps(images) if self.cache is None else self.cache(images)

    def fixed_maps(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) uint8 RGB to the output (B, C, h, w) of the fixed blocks, as float32."""
        assert self._split is not None
        fixed, bf16 = self._split[0], self._fixed_bf16
        return _in_chunks(lambda part: self._call(fixed, self._normalise(part), bf16=bf16).float(), images)

    @property
    def _parts(self) -> tuple[nn.Module, ...]:
        """The layers after the fixed blocks in one part, or those of a dense tap up to its map and after it."""
        if isinstance(self.layers, DenseVgg):
            return self._split[1] if self._split else self.layers.maps, self.layers.top
        return (self._split[1] if self._split else self.layers,)

    def fix_blocks(self, count: int, *, bf16: bool = False) -> None:
        """Keep the weights of the first blocks, each up to a pooling layer, as they are.

        These blocks compute without gradients, also in training, and `cache_outputs` stores their output instead of
        that of the network.

        Args:
            count: number of blocks.
            bf16: True to compute these blocks in bfloat16, in training and in inference; else always in float32.

        Raises:
            FgbenchError: The layers are not in a row, or the network has too few blocks.
        """
        self._split, self._fixed_bf16 = split_blocks(self.layers, count, self.name), bf16
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of training or inference; fixed blocks, with their means of batch norm, stay in inference."""
        super().train(mode)
        if self._split:
            self._split[0].eval()
        return self

    @property
    def fixed_parameters(self) -> list[nn.Parameter]:
        """Weights that are never trained: those of the fixed blocks."""
        return list(self._split[0].parameters()) if self._split else []

    def _normalise(self, images: Tensor) -> Tensor:
        return self.input.apply(images, self._factor, self._offset).contiguous(memory_format=torch.channels_last)

    def _call(self, part: nn.Module, x: Tensor, *, bf16: bool) -> Tensor:
        """Run a part of the layers, in bfloat16 or in float32; its compiled form only with gradients."""
        run = self._compiled if self._compiled and torch.is_grad_enabled() else run_part
        fast = x.device.type == "cpu" and run is run_part and not (bf16 or torch.is_autocast_enabled("cpu"))
        with self._fast if fast else in_bfloat16(x.device.type, enabled=bf16):
            return run(part, x)

    def compile_layers(self, backend: str) -> None:
        """Compile the layers by torch.compile for passes with gradients. The names of the parameters do not change."""
        self._compiled = torch.compile(run_part, backend=backend)

    @property
    def caches_bf16(self) -> bool:
        """Whether what `cache_outputs` stores is computed in bfloat16."""
        return self._fixed_bf16 if self._split else self.uses_bf16

    def cache_outputs(self, folder: Path, on_recall: Callable[[int], object]) -> None:
        """Compute each image only once and store its output in a folder; for a frozen network, or for fixed blocks.

        Args:
            folder: Folder of this network with these weights up to this tap, or up to its fixed blocks.
            on_recall: Receives, for each batch, the number of images whose output was stored before this call.
        """
        compute = self.fixed_maps if self._split else self._compute
        self.cache = MapCache(folder, compute, on_recall, BF16_TOLERANCE if self.caches_bf16 else TOLERANCE)

    def with_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last convolutional map (B, D, h, w) and the output of `forward`.

        D is `map_channels`. For taps other than the dense ones, both are the output of `forward`.
        """
        if not isinstance(self.layers, DenseVgg):
            out = self(images)
            return out, out
        maps = self._call(self._parts[0], self._input_of_parts(images), bf16=self.uses_bf16)
        return maps.float(), self._call(self.layers.top, maps, bf16=self.uses_bf16).float()

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


def _in_chunks(run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Run layers on images; on a CPU on a few at a time, whose maps fit in the cache of the processor."""
    chunk = max(1, CHUNK_PIXELS // (images.shape[2] * images.shape[3]))
    if images.device.type != "cpu" or len(images) <= chunk:
        return run(images)
    with freed_memory_kept():
        return torch.cat([run(part) for part in torch.split(images, chunk)])


def run_part(part: nn.Module, x: Tensor) -> Tensor:
    """Run layers: torch.compile compiles a function, but not an `nn.Sequential`."""
    output: Tensor = part(x)
    return output

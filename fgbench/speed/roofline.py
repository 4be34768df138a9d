"""Roofline bound: the most frames per second that the measured rates of a device allow.

The operations and bytes of an image are counted; the rates of the device are measured (Williams, Waterman and
Patterson, "Roofline", CACM 2009).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fgbench.backbones.fast_convolutions import FastConvolutions
from fgbench.speed.throughput import Dtype, precision
from fgbench.util.numeric.matmul import HAS_ONEDNN, product

TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Storage type of numbers by precision."""
SIDES = {"cpu": 1536, "cuda": 8192}
"""Side of the square matrices whose product gives the rate of operations."""
LAYERS = {"cpu": (1, 512, 56), "cuda": (64, 256, 56)}
"""Batch, channels and side of the maps whose 3 x 3 convolution gives another rate of operations.

On a CPU this layer gains most from the algorithm of `fgbench.backbones.winograd`. Its operations are those of the
direct algorithm, so that their rate exceeds that of the processor."""
COPIED_BYTES = {"cpu": 1 << 27, "cuda": 1 << 30}
"""Size of the array whose copy gives the rate of bytes."""
REPEATS = 4
"""Smallest number of timed repeats; the best counts."""
PEAK_S = 0.3
"""Time for which products and convolutions are repeated, because the clock of a processor varies."""


def _linear_flop(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    """Count the operations of the product of (M, K) and the transpose of (N, K)."""
    return 2 * prod(x) * weight[0]


EXTRA_COUNTS: dict[Any, Any] = {torch.ops.mkldnn._linear_pointwise: _linear_flop} if HAS_ONEDNN else {}
"""Counts for operators of `fgbench.util.numeric.matmul` that the counter of torch does not know."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured rates of a device."""

    flop_per_s: float
    """Floating-point operations per second of the faster kind, matrix products or convolutions; a multiply-add is two
    operations."""
    bytes_per_s: float
    """Bytes read and written per second by copies."""
    product_flop_per_s: float = 0.0
    """Operations per second of matrix products."""


@dataclass(frozen=True, slots=True)
class Need:
    """Operations and bytes that one image needs in any implementation."""

    gflop: float
    """Operations of convolutions, by their definition, and of matrix products."""
    weight_count: int
    """Number of weights of the used layers; they are read once for each batch."""
    image_bytes: int
    """Size of the image; it is read once."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Upper bound on the frames per second of a device."""

    fps: float
    limited_by: str
    """`operations` or `bytes`."""


def count_need(module: nn.Module, images: Tensor) -> Need:
    """Count the operations and bytes of `module(images)` per image in one forward pass.

    The count is a lower bound: only weights of layers that run as modules are counted, and intermediate maps are taken
    to stay in the cache.

    Args:
        module: Maps images to scores.
        images: (B, 3, H, W) uint8.
    """
    used: dict[int, int] = {}

    def note(layer: nn.Module, *_: Any) -> None:
        used.update({id(value): value.numel() for value in layer.parameters(recurse=False)})

    hooks = [layer.register_forward_hook(note) for layer in module.modules()]
    try:
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=EXTRA_COUNTS) as counter:
            module(images)
    finally:
        for hook in hooks:
            hook.remove()
    image_bytes = images[0].numel() * images.element_size()
    return Need(counter.get_total_flops() / len(images) / 1e9, sum(used.values()), image_bytes)


def bound(need: Need, rates: Rates, batch: int, dtype: Dtype) -> Bound:
    """Return the bound for a batch; its weights are read once for all its images."""
    by_operations = rates.flop_per_s / (need.gflop * 1e9)
    bytes_per_image = need.weight_count * TYPES[dtype].itemsize / batch + need.image_bytes
    by_bytes = rates.bytes_per_s / bytes_per_image
    return Bound(min(by_operations, by_bytes), "operations" if by_operations <= by_bytes else "bytes")


def measure_rates(device: str, dtype: Dtype, clock: Callable[[], float] | None = None) -> Rates:
    """Measure the rates of a device in a precision.

    Other load on the machine lowers them; measure several times and take the best.

    Args:
        device: `cpu` or `cuda`.
        dtype: precision of the products.
        clock: Returns the time in seconds; None for the time that passes.
    """
    side, torch_device = SIDES[device], torch.device(device)
    a, b = (torch.rand(side, side, device=torch_device).to(TYPES[dtype]) for _ in range(2))
    source = torch.zeros(COPIED_BYTES[device] // 4, device=torch_device)
    target = torch.empty_like(source)
    batch, channels, cells = LAYERS[device]
    how: dict[str, Any] = {"dtype": TYPES[dtype], "memory_format": torch.channels_last}
    maps = torch.rand(batch, channels, cells, cells, device=torch_device).to(**how)
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=torch_device).to(**how)
    with torch.inference_mode(), precision(dtype):
        product_s = shortest_s(lambda: product(a, b), torch_device, clock, least_s=PEAK_S)
        with FastConvolutions():
            layer_s = shortest_s(lambda: layer(maps), torch_device, clock, least_s=PEAK_S)
        copy_s = shortest_s(lambda: target.copy_(source), torch_device, clock)
    products, layers = 2 * side**3 / product_s, 2 * batch * cells**2 * channels**2 * 9 / layer_s
    return Rates(max(products, layers), 2 * source.numel() * source.element_size() / copy_s, products)


def shortest_s(
    work: Callable[[], object], device: torch.device, clock: Callable[[], float] | None = None, *, least_s: float = 0.0
) -> float:
    """Return the shortest time of a few calls in seconds; the first call is not counted.

    Args:
        work: what is timed.
        device: where it runs.
        clock: returns the time in seconds; None for the time that passes.
        least_s: the calls are repeated until they have taken this time together.
    """
    clock = clock or time.perf_counter
    times_s: list[float] = []
    while len(times_s) <= REPEATS or sum(times_s) < least_s:
        start = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times_s.append(clock() - start)
    return min(times_s[1:])

"""The most frames a second that a device could reach: operations and bytes counted, its own rates measured."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fgbench.speed.throughput import Dtype, precision
from fgbench.util.numeric.matmul import HAS_ONEDNN, product

TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What numbers of a precision are kept as."""
SIDES = {"cpu": 1536, "cuda": 8192}
"""Sides of the matrices that are multiplied to find out what a device can do."""
COPIED_BYTES = {"cpu": 1 << 27, "cuda": 1 << 30}
TIMES = 4


def _of_linear(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    """Operations of a product of (M, K) with the transpose of (N, K)."""
    return 2 * prod(x) * weight[0]


COUNTED: dict[Any, Any] = {torch.ops.mkldnn._linear_pointwise: _of_linear} if HAS_ONEDNN else {}
"""What torch's counter does not know, and `fgbench.util.numeric.matmul` uses."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device reached: the best of a few products of large matrices, and of a few copies."""

    flop_per_s: float
    """Floating-point operations; a multiplication with its addition is two."""
    bytes_per_s: float
    """Read and written."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one image needs, whoever computes it."""

    gflop: float
    """Operations of convolutions, by their definition, and of matrix products."""
    weights: int
    """Values of the layers that were used, to be read once a batch."""
    pixels: int
    """Bytes of the image, to be read once."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Frames a second that a device with these rates cannot exceed."""

    fps: float
    limited_by: str
    """`operations` or `bytes`."""


def count_need(module: nn.Module, images: Tensor) -> Need:
    """Count what `module(images)` does, by doing it once.

    Only layers that run as modules give their weights to the sum, and maps may stay in a cache: it is the least.

    Args:
        module: maps images to scores.
        images: (B, 3, H, W) uint8.
    """
    used: dict[int, int] = {}

    def note(layer: nn.Module, *_: Any) -> None:
        used.update({id(value): value.numel() for value in layer.parameters(recurse=False)})

    hooks = [layer.register_forward_hook(note) for layer in module.modules()]
    try:
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
            module(images)
    finally:
        for hook in hooks:
            hook.remove()
    pixels = images[0].numel() * images.element_size()
    return Need(counter.get_total_flops() / len(images) / 1e9, sum(used.values()), pixels)


def bound(need: Need, rates: Rates, batch: int, dtype: Dtype) -> Bound:
    """The bound for a batch, whose weights are read once for all its images."""
    by_operations = rates.flop_per_s / (need.gflop * 1e9)
    moved = need.weights * TYPES[dtype].itemsize / batch + need.pixels
    by_bytes = rates.bytes_per_s / moved
    return Bound(min(by_operations, by_bytes), "operations" if by_operations <= by_bytes else "bytes")


def measure_rates(device: str, dtype: Dtype) -> Rates:
    """The rates of a device in a precision; a busy machine lowers them, so measure again and take the best."""
    side, place = SIDES[device], torch.device(device)
    a, b = (torch.rand(side, side, device=place).to(TYPES[dtype]) for _ in range(2))
    line = torch.zeros(COPIED_BYTES[device] // 4, device=place)
    into = torch.empty_like(line)
    with torch.inference_mode(), precision(dtype):
        taken = _least_s(lambda: product(a, b), place)
        copy = _least_s(lambda: into.copy_(line), place)
    return Rates(2 * side**3 / taken, 2 * line.numel() * line.element_size() / copy)


def _least_s(work: Callable[[], object], device: torch.device) -> float:
    """The shortest of a few times, the first not counted."""
    taken = []
    for _ in range(TIMES + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return min(taken[1:])

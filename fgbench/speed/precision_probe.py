"""Probe of a device: how many times as fast convolutions are in bfloat16 as in float32."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from statistics import median

import torch
from torch import Tensor, nn

from fgbench.backbones.fast_convolutions import FastConvolutions
from fgbench.util.numeric.precision import in_bfloat16
from fgbench.util.numeric.seeding import fixed_threads, refuse_tf32
from fgbench.util.processes import in_own_process

MAPS = ((64, 224), (128, 112), (256, 56))
"""Channels and side of the maps: those of conv1, conv2 and conv3 of VGG-16 for an image of 224 px.

Each call also rounds the weights. For each operation, these layers have about as many weights as all layers of VGG-16
have for two images of 448 px."""
BATCH = {"cpu": 1, "cuda": 16}
"""Number of images at a time."""
ROUNDS = 5
"""Largest number of rounds."""
BUDGET_S = 0.6
"""Time after which no round begins. A processor without instructions for bfloat16 may need seconds for a round."""


@lru_cache
def bfloat16_gain(device: str, threads: int) -> float:
    """Return how many times as fast convolutions are in bfloat16 as in float32, measured once in this process.

    A GPU is measured in a process of its own, whose memory is free again for the runs.

    Args:
        device: `cpu` or `cuda`.
        threads: number of CPU threads.
    """
    if device == "cpu":
        return _measure(device, threads)
    return in_own_process("probes the precision of the GPU", _measure, device, threads)


def relative_speed(
    reference: Callable[[], object], other: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return how many times as fast one function is as another one.

    Each round calls both, so that other load on the machine slows both. The first call of each is not timed, because it
    prepares kernels and starts threads.

    Args:
        reference: the function with the speed 1.
        other: the function that is compared with it.
        clock: returns the time in seconds.

    Returns:
        Median over the rounds of the time of `reference` divided by that of `other`.
    """
    started = clock()
    reference()
    other()
    ratios: list[float] = []
    while len(ratios) < ROUNDS and (not ratios or clock() - started < BUDGET_S):
        first = clock()
        reference()
        second = clock()
        other()
        ratios.append((second - first) / (clock() - second))
    return median(ratios)


def _measure(device: str, threads: int) -> float:
    """Time convolutions as networks compute them in inference."""
    refuse_tf32()
    layers = [nn.Conv2d(channels, channels, 3, padding=1, device=device) for channels, _ in MAPS]
    maps = [torch.rand(BATCH[device], channels, side, side, device=device) for channels, side in MAPS]
    work = [
        (layer.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last))  # type: ignore[call-overload]
        for layer, x in zip(layers, maps, strict=True)
    ]
    as_float32, as_bf16 = FastConvolutions(), in_bfloat16(device, enabled=True)
    with fixed_threads(threads), torch.inference_mode():
        return relative_speed(partial(_convolve, work, as_float32), partial(_convolve, work, as_bf16))


def _convolve(work: list[tuple[nn.Conv2d, Tensor]], context: AbstractContextManager[object]) -> None:
    device = work[0][1].device
    with context:
        for layer, x in work:
            layer(x)
    if device.type == "cuda":
        torch.cuda.synchronize(device)

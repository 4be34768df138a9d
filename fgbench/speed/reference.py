"""The reference workload: a fixed piece of work whose time tells how busy and how fast the machine was at a moment."""

import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch

from fgbench.util.memory import garbage_collector_off

T = TypeVar("T")


def timed(work: Callable[[], T], calls: int = 1) -> tuple[float, T]:
    """Return the mean seconds of several calls without the garbage collector, and the last result."""
    with garbage_collector_off():
        start = time.perf_counter()
        for _ in range(calls):
            result = work()
        return (time.perf_counter() - start) / calls, result


def reference() -> None:
    """Run the reference workload: a matrix product and a pass over memory, about 20 ms in one thread."""
    square, line = _operands()
    (square @ square).sum()
    line.clone().exp_()


def measure_reference() -> float:
    """Return the median seconds of three calls of the reference workload."""
    return statistics.median(timed(reference)[0] for _ in range(3))


@cache
def _operands() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(768, 768, generator=generator), torch.rand(1 << 22, generator=generator)

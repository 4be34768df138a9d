"""Frames per second under stated conditions: warm-up until steady, synchronised windows, median and quartiles."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from fgbench.util.errors import ArgumentError, MissingError, nearest
from fgbench.util.memory import peak_mib

Dtype = Literal["fp32", "tf32", "bf16", "fp16"]
Layout = Literal["NCHW", "channels_last"]
Work = Callable[[], object]
"""Processes one batch."""
MIN_WINDOWS = 3
MIN_GAIN = 1.03
"""Smallest ratio of frames per second at which a larger batch counts as faster."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of a measured speed."""

    batch: int
    """Number of images in a batch."""
    size_px: int
    """Side of the images in pixels."""
    device: str
    """`cpu` or `cuda`."""
    dtype: Dtype = "fp32"
    """Precision of convolutions and matrix products; `tf32` is fp32 with products on the tensor cores of a GPU."""
    layout: Layout = "channels_last"
    """Memory format of the maps."""
    compiled: str = ""
    """Mode of torch.compile; empty if the code is not compiled."""
    decode: bool = False
    """Whether the time includes reading, decoding and resizing of files and the copy to the device."""
    threads: int = 1
    """Number of CPU threads."""

    def __post_init__(self) -> None:
        for name, value, known in (("dtype", self.dtype, get_args(Dtype)), ("layout", self.layout, get_args(Layout))):
            if value not in known:
                raise ArgumentError(f"no {name} {value!r}; {nearest(value, known)}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the length of a measurement."""

    window_s: float = 0.5
    """Shortest window in seconds; batches are repeated to fill it, so that the error of the clock is negligible."""
    rounds: int = 11
    """Largest number of windows."""
    tolerance: float = 0.05
    """A workload is steady when the times of two successive windows differ by at most this fraction."""
    warmup_s: float = 20.0
    """Longest warm-up in seconds; then the measurement starts in any case."""
    budget_s: float = 30.0
    """Seconds after which no further window starts, except to complete three."""
    max_batch: int = 1024
    """Largest batch that is tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A batch size that was tried in the search for the best."""

    batch: int
    fps: float | None
    """Frames per second; None if the batch did not fit in memory."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Measured frames per second of a workload."""

    conditions: Conditions
    fps: float
    """Images per second; median over the windows."""
    fps_low: float
    """Lower quartile over the windows."""
    fps_high: float
    """Upper quartile over the windows."""
    window_s: tuple[float, ...]
    """Seconds of each window, with the device synchronised before and after."""
    steps: int
    """Number of batches in a window."""
    warmup_s: float
    """Seconds before the first window, including compilation."""
    steady: bool
    """Whether two successive windows agreed before the measurement started."""
    peak_mib: float
    """Peak memory."""
    peak_of: str
    """Owner of that memory: the process, or tensors on the GPU."""
    tried: tuple[Trial, ...] = ()
    """Batch sizes that were tried in the search for the best; empty without a search."""
    stopped: str = ""
    """Reason why no larger batch was tried."""

    @property
    def step_s(self) -> float:
        """Seconds for a batch."""
        return self.conditions.batch / self.fps


def measure_speed(
    work: Work, conditions: Conditions, limits: Limits = Limits(), clock: Callable[[], float] = time.perf_counter
) -> Speed:
    """Measure the frames per second of a workload.

    Args:
        work: Processes one batch of `conditions.batch` images.
        conditions: Conditions to record; the caller applies them.
        limits: Limits on the length of the measurement.
        clock: Returns the time in seconds.
    """
    device = torch.device(conditions.device)

    def window(steps: int) -> float:
        _synchronize(device)
        start = clock()
        for _ in range(steps):
            work()
        _synchronize(device)
        return clock() - start

    with _garbage_collector_off():
        start = clock()
        # Compile, choose algorithms and fill caches; then find the number of batches in a window.
        window(1)
        previous_s, steady = window(1), False
        if (steps := max(1, math.ceil(limits.window_s / previous_s))) > 1:
            previous_s = window(steps)
        # Warm up until two successive windows agree.
        while not steady and clock() - start < limits.warmup_s:
            latest_s = window(steps)
            steady = abs(latest_s - previous_s) <= limits.tolerance * min(latest_s, previous_s)
            previous_s = latest_s
        warmup_s = clock() - start
        # Measure.
        peak_of = _reset_peak(device)
        start, windows = clock(), list[float]()
        while len(windows) < limits.rounds and (len(windows) < MIN_WINDOWS or clock() - start < limits.budget_s):
            windows.append(window(steps))
    images = steps * conditions.batch
    high, median, low = (images / seconds for seconds in statistics.quantiles(windows, n=4, method="inclusive"))
    return Speed(
        conditions=conditions,
        fps=median,
        fps_low=low,
        fps_high=high,
        window_s=tuple(windows),
        steps=steps,
        warmup_s=warmup_s,
        steady=steady,
        peak_mib=_peak_mib(device),
        peak_of=peak_of,
    )


def best_batch(
    make: Callable[[int], Work],
    conditions: Conditions,
    limits: Limits = Limits(),
    clock: Callable[[], float] = time.perf_counter,
    final: Callable[[int], Work] | None = None,
) -> Speed:
    """Return the speed at the batch size with the most frames per second.

    The search doubles the batch size, starting with one image. It ends when a doubled batch is no faster, does not fit
    in memory, or exceeds a limit: `Speed.stopped` gives the reason and `Speed.tried` the trials. A batch that fits in a
    trial but not in the final measurement counts as a batch that does not fit.

    Args:
        make: Returns the work for a batch size.
        conditions: Conditions to record; their `batch` is ignored.
        limits: Limits on the final measurement; trials have shorter ones.
        clock: Returns the time in seconds.
        final: Returns the work of the final measurement if it differs from that of the trials. Compiled work differs,
            because compilation for every batch size would take minutes.

    Raises:
        MissingError: Not even one image fits in memory.
    """
    brief = replace(limits, rounds=MIN_WINDOWS, window_s=limits.window_s / 3, warmup_s=limits.warmup_s / 3)
    tried: list[Trial] = []
    batch, stopped, start = 1, "", clock()
    while not stopped:
        speed = _speed_if_it_fits(make, replace(conditions, batch=batch), brief, clock)
        tried.append(Trial(batch, None if speed is None else speed.fps))
        if speed is None:
            stopped = f"a batch of {batch} did not fit in memory"
        elif len(tried) > 1 and speed.fps < MIN_GAIN * (tried[-2].fps or 0.0):
            stopped = f"a batch of {batch} was not faster"
        elif 2 * batch > limits.max_batch:
            stopped = f"the largest batch to try is {limits.max_batch}"
        elif clock() - start > limits.budget_s:
            stopped = f"the time for trials is {limits.budget_s:g} s"
        batch *= 2
    while fitting := [trial for trial in tried if trial.fps is not None]:
        best = max(fitting, key=lambda trial: trial.fps or 0.0)
        final_speed = _speed_if_it_fits(final or make, replace(conditions, batch=best.batch), limits, clock)
        if final_speed is not None:
            return replace(final_speed, tried=tuple(tried), stopped=stopped)
        tried[tried.index(best)] = Trial(best.batch, None)
        stopped += f"; in the final measurement, a batch of {best.batch} did not fit"
    raise MissingError("hardware", f"not even one image of {conditions.size_px} px fits in memory")


@contextmanager
def precision(dtype: Dtype) -> Iterator[None]:
    """Allow tf32 in products of fp32 numbers on a GPU only if `dtype` is `tf32`."""
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    previous = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = dtype == "tf32"
    try:
        yield
    finally:
        for backend, value in zip(backends, previous, strict=True):
            backend.allow_tf32 = value


def _speed_if_it_fits(
    make: Callable[[int], Work], conditions: Conditions, limits: Limits, clock: Callable[[], float]
) -> Speed | None:
    """Return the speed of a batch; None if it does not fit in memory."""
    try:
        return measure_speed(make(conditions.batch), conditions, limits, clock)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    # Outside the except block, where the error no longer holds its frames and their tensors.
    gc.collect()
    if conditions.device == "cuda":
        torch.cuda.empty_cache()
    return None


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error of torch reports lack of memory, on the GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return any(
        phrase in message for phrase in ("out of memory", "not enough memory", "alloc_failed", "allocate memory")
    )


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> str:
    """Reset the recorded peak memory; return the owner of the memory that is recorded."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return "tensors on the GPU"
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return "the process since its start"
    return "the process"


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_mib()


@contextmanager
def _garbage_collector_off() -> Iterator[None]:
    """Switch off the garbage collector, which would add its time to random windows."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

"""Frames per second under stated conditions: warm-up until steady, synchronised windows, median and quartiles."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from fgbench.util.errors import ArgumentError, nearest
from fgbench.util.memory import garbage_collector_off, peak_mib

Dtype = Literal["fp32", "tf32", "bf16", "fp16"]
Layout = Literal["NCHW", "channels_last"]
Work = Callable[[], object]
"""Processes one batch."""
Clock = Callable[[], float]
"""Returns the time in seconds."""
MIN_WINDOWS = 3


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
    search_s: float = 30.0
    """Seconds after which no batch of more than two images is tried."""
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


class TimedWork:
    """A workload whose windows are timed, each with the device synchronised before and after it.

    Args:
        work: Processes one batch of `conditions.batch` images.
        conditions: Conditions to record; the caller applies them.
        limits: Limits on the length of the measurement.
        clock: Returns the time in seconds.

    Attributes:
        steps: Number of batches in a window.
        window_s: Seconds of each measured window.
    """

    def __init__(self, work: Work, conditions: Conditions, limits: Limits, clock: Clock) -> None:
        self.work, self._limits, self._clock = work, limits, clock
        self._device = torch.device(conditions.device)
        self.conditions, self.steps, self.window_s = conditions, 1, list[float]()
        self._latest_s, self._warmup_s, self._steady = 0.0, 0.0, False
        self._peak_mib, self._peak_of = 0.0, ""

    def warm_up(self) -> None:
        """Repeat the work until two successive windows agree, and record the peak memory after the first batch."""
        start = self._clock()
        # Compile, choose algorithms and fill caches; then find the number of batches in a window.
        first_s = self._time()
        self._peak_of = _reset_peak(self._device)
        self._latest_s = self._time()
        self.steps = max(1, math.ceil(self._limits.window_s / self._latest_s))
        if self.steps > 1:
            self._latest_s = self._time()
        else:
            self._steady = agree(first_s, self._latest_s, self._limits.tolerance)
        while not self._steady and self._clock() - start < self._limits.warmup_s:
            previous_s, self._latest_s = self._latest_s, self._time()
            self._steady = agree(previous_s, self._latest_s, self._limits.tolerance)
        self._peak_mib = _peak_mib(self._device)
        self._warmup_s = self._clock() - start

    def measure(self) -> float:
        """Time one more window; return its frames per second."""
        self.window_s.append(self._time())
        return self._images / self.window_s[-1]

    @property
    def fps(self) -> float:
        """Frames per second: median over the windows; that of the warm-up before the first window."""
        return self._images / statistics.median(self.window_s or [self._latest_s])

    def speed(self) -> Speed:
        """Return the speed of the measured windows, of which there are at least two."""
        high, median, low = (self._images / s for s in statistics.quantiles(self.window_s, n=4, method="inclusive"))
        return Speed(
            conditions=self.conditions,
            fps=median,
            fps_low=low,
            fps_high=high,
            window_s=tuple(self.window_s),
            steps=self.steps,
            warmup_s=self._warmup_s,
            steady=self._steady,
            peak_mib=self._peak_mib,
            peak_of=self._peak_of,
        )

    @property
    def _images(self) -> int:
        return self.steps * self.conditions.batch

    def _time(self) -> float:
        synchronize(self._device)
        start = self._clock()
        for _ in range(self.steps):
            self.work()
        synchronize(self._device)
        return self._clock() - start


def agree(one: float, other: float, tolerance: float) -> bool:
    """Return whether two times or rates differ by at most a fraction of the smaller one."""
    return abs(one - other) <= tolerance * min(one, other)


def measure_speed(
    work: Work, conditions: Conditions, limits: Limits = Limits(), clock: Clock = time.perf_counter
) -> Speed:
    """Measure the frames per second of a workload.

    Args:
        work: Processes one batch of `conditions.batch` images.
        conditions: Conditions to record; the caller applies them.
        limits: Limits on the length of the measurement.
        clock: Returns the time in seconds.
    """
    timed = TimedWork(work, conditions, limits, clock)
    with garbage_collector_off():
        timed.warm_up()
        measure_in_turns([timed], limits, clock)
    return timed.speed()


def measure_in_turns(works: Sequence[TimedWork], limits: Limits, clock: Clock) -> None:
    """Measure windows of several workloads in turns, so that other load on the machine slows all of them.

    Windows that the first workload already has count as well.
    """
    start, windows = clock(), works[0].window_s
    while len(windows) < limits.rounds and (len(windows) < MIN_WINDOWS or clock() - start < limits.budget_s):
        for work in works:
            work.measure()


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


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error of torch reports lack of memory, on the GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return any(
        phrase in message for phrase in ("out of memory", "not enough memory", "alloc_failed", "allocate memory")
    )


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its work; nothing to wait for on a CPU."""
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

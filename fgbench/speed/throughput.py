"""Frames a second by a protocol: conditions stated, warm until steady, synchronised windows, median and quartiles."""

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

from fgbench.util.errors import FgbenchError, MissingError, nearest
from fgbench.util.memory import peak_mib

Dtype = Literal["fp32", "tf32", "bf16", "fp16"]
Layout = Literal["NCHW", "channels_last"]
Work = Callable[[], object]
"""One batch, from what it begins with to scores."""
LEAST_WINDOWS = 3
GAIN = 1.03
"""A larger batch has to be this many times as fast to count as faster."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a speed holds for."""

    batch: int
    """Images at a time."""
    size_px: int
    """Side of the images."""
    device: str
    """`cpu` or `cuda`."""
    dtype: Dtype = "fp32"
    """Numbers of convolutions and matrix products; `tf32` is fp32 with the products of a GPU's tensor cores."""
    layout: Layout = "channels_last"
    """How maps lie in memory."""
    compiled: str = ""
    """Mode of torch.compile; empty where the code ran as it is written."""
    decode: bool = False
    """Whether reading, decoding and resizing the files and copying to the device are in the time."""
    threads: int = 1
    """Of the CPU."""

    def __post_init__(self) -> None:
        for name, value, known in (("dtype", self.dtype, get_args(Dtype)), ("layout", self.layout, get_args(Layout))):
            if value not in known:
                raise FgbenchError(f"no {name} {value!r}; {nearest(value, known)}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a measurement takes."""

    window_s: float = 0.5
    """Batches are repeated until a window is this long, so that the clock's own error is nothing beside it."""
    rounds: int = 11
    """Windows."""
    agree: float = 0.05
    """Warm is who takes equally long in two successive windows, but for this part."""
    warmup_s: float = 20.0
    """After this long the measurement begins, steady or not."""
    budget_s: float = 30.0
    """After this long there are no more windows, but three at least."""
    most: int = 1024
    """Largest batch that is tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A batch that was tried on the way to the best."""

    batch: int
    fps: float | None
    """None where memory did not do."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Frames a second of a piece of work."""

    conditions: Conditions
    fps: float
    """Images a second; median over the windows."""
    fps_low: float
    """Lower quartile over the windows."""
    fps_high: float
    """Upper quartile."""
    window_s: tuple[float, ...]
    """Seconds of each window, the device waited for on both sides."""
    steps: int
    """Batches in a window."""
    warmup_s: float
    """Seconds before the first window, compilation included."""
    steady: bool
    """Whether two successive windows agreed before the measurement began."""
    peak_mib: float
    """Most memory in use."""
    peak_of: str
    """Whose memory that is."""
    tried: tuple[Trial, ...] = ()
    """Batches that were tried, where the best one was looked for."""
    stopped: str = ""
    """Why no larger batch was tried."""

    @property
    def step_s(self) -> float:
        """Seconds of a batch."""
        return self.conditions.batch / self.fps


def measure_speed(
    work: Work, conditions: Conditions, limits: Limits = Limits(), clock: Callable[[], float] = time.perf_counter
) -> Speed:
    """Time a piece of work.

    Args:
        work: does one batch of `conditions.batch` images.
        conditions: what it is done under; they are recorded, and nothing here sees to them.
        limits: how long it may take.
        clock: tells the time in seconds.
    """
    device = torch.device(conditions.device)

    def window(steps: int) -> float:
        _synchronize(device)
        start = clock()
        for _ in range(steps):
            work()
        _synchronize(device)
        return clock() - start

    with _no_collection():
        began = clock()
        window(1)  # compiles, chooses algorithms, fills caches
        before, steady = window(1), False
        if (steps := max(1, math.ceil(limits.window_s / before))) > 1:
            before = window(steps)
        while not steady and clock() - began < limits.warmup_s:
            latest = window(steps)
            steady = abs(latest - before) <= limits.agree * min(latest, before)
            before = latest
        warmup_s = clock() - began
        whose = _reset_peak(device)
        began, windows = clock(), list[float]()
        while len(windows) < limits.rounds and (len(windows) < LEAST_WINDOWS or clock() - began < limits.budget_s):
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
        peak_of=whose,
    )


def best_batch(
    make: Callable[[int], Work],
    conditions: Conditions,
    limits: Limits = Limits(),
    clock: Callable[[], float] = time.perf_counter,
    final: Callable[[int], Work] | None = None,
) -> Speed:
    """The speed at the batch with the most frames a second, found by doubling from one image on.

    It ends where a doubled batch is no faster, where memory ends, or where a limit is reached: `Speed.stopped` says
    which, `Speed.tried` what was tried. A batch that did not fit when it was measured at length is among those, too.

    Args:
        make: gives the work of a batch.
        conditions: their `batch` is not looked at.
        limits: of the final measurement; a trial takes a third of its windows.
        clock: tells the time in seconds.
        final: gives the work that is measured at length, where that is not what is tried: to compile it for every
            batch would take minutes each.

    Raises:
        MissingError: not even one image fits in memory.
    """
    brief = replace(limits, rounds=LEAST_WINDOWS, window_s=limits.window_s / 3, warmup_s=limits.warmup_s / 3)
    tried: list[Trial] = []
    batch, stopped, began = 1, "", clock()
    while not stopped:
        speed = _if_it_fits(make, replace(conditions, batch=batch), brief, clock)
        tried.append(Trial(batch, None if speed is None else speed.fps))
        if speed is None:
            stopped = f"memory ended at a batch of {batch}"
        elif len(tried) > 1 and speed.fps < GAIN * (tried[-2].fps or 0.0):
            stopped = f"a batch of {batch} was no faster"
        elif 2 * batch > limits.most:
            stopped = f"no batch over {limits.most} is tried"
        elif clock() - began > limits.budget_s:
            stopped = f"trials ended after {limits.budget_s:g} s"
        batch *= 2
    while fitting := [trial for trial in tried if trial.fps is not None]:
        best = max(fitting, key=lambda trial: trial.fps or 0.0)
        found = _if_it_fits(final or make, replace(conditions, batch=best.batch), limits, clock)
        if found is not None:
            return replace(found, tried=tuple(tried), stopped=stopped)
        tried[tried.index(best)] = Trial(best.batch, None)
        stopped += f"; at length, one of {best.batch} did not fit"
    raise MissingError("hardware", f"not even one image of {conditions.size_px} px fits in memory")


@contextmanager
def precision(dtype: Dtype) -> Iterator[None]:
    """Within it the products of fp32 numbers on a GPU are what `dtype` says: rounded to tf32 only where it is that."""
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = dtype == "tf32"
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def _if_it_fits(
    make: Callable[[int], Work], conditions: Conditions, limits: Limits, clock: Callable[[], float]
) -> Speed | None:
    """The speed of a batch; None where memory ends."""
    try:
        return measure_speed(make(conditions.batch), conditions, limits, clock)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    # Here, where the error and what its frames held are gone.
    gc.collect()
    if conditions.device == "cuda":
        torch.cuda.empty_cache()
    return None


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that memory ended, on the GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return any(part in words for part in ("out of memory", "not enough memory", "alloc_failed", "allocate memory"))


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> str:
    """Begin anew to record the most memory in use; whose memory it is."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return "tensors on the GPU"
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return "the process since it began"
    return "the process"


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_mib()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Within it the garbage collector does not run: it would add its time to any window."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

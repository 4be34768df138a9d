"""Search for the batch size with the most frames per second, which is never slower than one image."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from fgbench.speed.throughput import (
    Clock,
    Conditions,
    Limits,
    Speed,
    TimedWork,
    Trial,
    Work,
    agree,
    measure_in_turns,
    out_of_memory,
)
from fgbench.util.errors import MissingError
from fgbench.util.memory import garbage_collector_off

MIN_GAIN = 1.03
"""Smallest ratio of frames per second at which a larger batch counts as faster."""
MAX_PAIRS = 5
"""Largest number of pairs of windows in a comparison of two batch sizes."""
TRIAL_SHARE = 1 / 3
"""Length of the windows and of the warm-up in a comparison, as a share of those of the final measurement."""
Make = Callable[[Conditions], Work]
"""Returns the work for a batch size and other conditions."""


@dataclass(frozen=True, slots=True)
class BatchSpeeds:
    """Speeds with one image and at the best batch size, from windows that were measured in turns."""

    one: Speed
    best: Speed
    """Equal to `one`, but for its trials, if one image is the best batch."""
    work: Work
    """The work at the best batch size, already warm."""


def best_batch(make: Make, conditions: Conditions, limits: Limits, clock: Clock = time.perf_counter) -> BatchSpeeds:
    """Measure the speed with one image and at the batch size with the most frames per second.

    The search doubles the batch size, starting with one image. Windows of a batch size and of the doubled one are timed
    in turns until two successive ratios agree. The search ends when the doubled batch is no faster, does not fit in
    memory, or exceeds a limit: `Speed.stopped` gives the reason and `Speed.tried` the trials. Two images are always
    tried. Trials run code that is not compiled, because compilation for every batch size would take minutes.

    The final measurement times the best batch and one image in turns and takes the faster one, so that noise in the
    search cannot give a best batch that is slower than one image. A batch that fits in a trial but not in the final
    measurement counts as a batch that does not fit.

    Args:
        make: Returns the work for a batch size.
        conditions: Conditions of the final measurement; their `batch` is ignored.
        limits: Limits on the final measurement; trials have shorter ones.
        clock: Returns the time in seconds.

    Raises:
        MissingError: Not even one image fits in memory.
    """
    with garbage_collector_off():
        search = _Search(make, replace(conditions, compiled=""), limits, clock)
        size, one = search.size, search.one
        # One image is warmed up once more only for other code or for windows of more batches.
        if one is not None and (conditions.compiled or one.steps > 1):
            one = _warm(make, replace(conditions, batch=1), limits, clock)
        if one is None:
            raise MissingError("hardware", f"not even one image of {conditions.size_px} px fits in memory")
        best, tried, stopped = one, search.tried, search.stopped
        while size > 1 and best is one:
            larger = _warm(make, replace(conditions, batch=size), limits, clock)
            if larger is None:
                tried = [Trial(size, None) if trial.batch == size else trial for trial in tried]
                stopped += f"; in the final measurement, a batch of {size} did not fit"
                size //= 2
            else:
                best = larger
                one.window_s.clear()  # windows of the search are not in turns with those of the best batch
        measure_in_turns([one] if best is one else [one, best], limits, clock)
    if best.fps < one.fps:
        stopped += f"; in the final measurement, a batch of {size} was slower than one image"
        best = one
    return BatchSpeeds(one.speed(), replace(best.speed(), tried=tuple(tried), stopped=stopped), best.work)


class _Search:
    """The search for the best batch size.

    Attributes:
        one: One image, warm, with the windows of its comparison; None if it does not fit in memory.
        size: The best batch size.
        tried: The batch sizes that were tried.
        stopped: The reason why no larger one was tried.
    """

    def __init__(self, make: Make, conditions: Conditions, limits: Limits, clock: Clock) -> None:
        short = replace(limits, window_s=limits.window_s * TRIAL_SHARE)
        brief = replace(short, warmup_s=limits.warmup_s * TRIAL_SHARE)
        start, self.size, self.stopped = clock(), 1, ""
        # One image may be in the final measurement as it is, and has the whole warm-up.
        self.one = best = _warm(make, replace(conditions, batch=1), short, clock)
        self.tried = [Trial(1, None if best is None else best.fps)]
        while best is not None and not self.stopped:
            size = 2 * self.size
            if size > limits.max_batch:
                self.stopped = f"the largest batch to try is {limits.max_batch}"
            elif size > 2 and clock() - start > limits.search_s:
                self.stopped = f"the time for trials is {limits.search_s:g} s"
            elif (larger := _warm(make, replace(conditions, batch=size), brief, clock)) is None:
                self.tried.append(Trial(size, None))
                self.stopped = f"a batch of {size} did not fit in memory"
            else:
                gain = _gain(best, larger, limits.tolerance)
                self.tried[-1:] = [Trial(self.size, best.fps), Trial(size, larger.fps)]
                if gain < MIN_GAIN:
                    self.stopped = f"a batch of {size} was {'slower' if gain < 1 - limits.tolerance else 'not faster'}"
                else:
                    best, self.size = larger, size


def _gain(smaller: TimedWork, larger: TimedWork, tolerance: float) -> float:
    """Return how many times as fast the larger batch is: the median ratio of windows in turns.

    The first ratio is that of the windows before. Two successive ratios that agree end the comparison.
    """
    ratios = [larger.fps / smaller.fps]
    while len(ratios) <= MAX_PAIRS:
        smaller_fps = smaller.measure()
        ratios.append(larger.measure() / smaller_fps)
        if agree(ratios[-1], ratios[-2], tolerance):
            break
    return statistics.median(ratios)


def _warm(make: Make, conditions: Conditions, limits: Limits, clock: Clock) -> TimedWork | None:
    """Return the work of a batch size after its warm-up; None if it does not fit in memory."""
    try:
        timed = TimedWork(make(conditions), conditions, limits, clock)
        timed.warm_up()
        return timed
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    # Outside the except block, where the error no longer holds its frames and their tensors.
    gc.collect()
    if conditions.device == "cuda":
        torch.cuda.empty_cache()
    return None

import gc
import mmap
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fgbench.speed.throughput import Conditions, Limits, best_batch, measure_speed, out_of_memory, precision
from fgbench.util.errors import ArgumentError, MissingError

CPU = Conditions(batch=4, size_px=64, device="cpu")


class Clock:
    """A clock that only work moves forward."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        """Return work whose calls take these seconds; later calls take as long as the last."""
        seconds = list(seconds)
        calls = SimpleNamespace(count=0)

        def run():
            self.now += seconds[min(calls.count, len(seconds) - 1)]
            calls.count += 1

        run.calls = calls
        return run


def test_median_and_quartiles_are_those_of_windows_of_several_batches():
    clock = Clock()
    # The first call, a call of 1/8 s (4 steps in a window), two equal windows, then windows of other lengths.
    windows = [0.5, 0.5, 0.6, 0.4, 0.8, 0.5, 0.7]
    work = clock.work([9.0, 0.125, *(s / 4 for s in windows for _ in range(4))])
    speed = measure_speed(work, CPU, Limits(window_s=0.5, rounds=5), clock)
    assert speed.steps == 4
    assert speed.window_s == pytest.approx(windows[2:])
    rates = np.percentile([4 * 4 / s for s in windows[2:]], [25, 50, 75])
    assert (speed.fps_low, speed.fps, speed.fps_high) == pytest.approx(tuple(rates))
    assert speed.fps == pytest.approx(16 / 0.6)
    assert speed.step_s == pytest.approx(0.6 / 4)
    assert speed.warmup_s == pytest.approx(9.0 + 0.125 + 1.0)
    assert speed.steady
    assert speed.conditions == CPU


def test_warm_up_ends_when_two_windows_agree():
    clock = Clock()
    speed = measure_speed(clock.work([9.0, 4.0, 3.0, 2.0, 1.0, 1.04, 1.0]), CPU, Limits(window_s=0.5, rounds=3), clock)
    assert speed.window_s == pytest.approx((1.0, 1.0, 1.0))
    assert speed.steady


def test_unsteady_work_is_measured_and_marked():
    clock = Clock()
    speed = measure_speed(clock.work([1.0, 2.0] * 40), CPU, Limits(window_s=0.1, rounds=4, warmup_s=10.0), clock)
    assert not speed.steady
    assert len(speed.window_s) == 4
    assert speed.warmup_s < 13


def test_the_budget_ends_the_windows_but_there_are_at_least_three():
    clock = Clock()
    assert len(measure_speed(clock.work([1.0]), CPU, Limits(rounds=50, budget_s=7.5), clock).window_s) == 8
    assert len(measure_speed(clock.work([9.0]), CPU, Limits(rounds=50, budget_s=7.5), clock).window_s) == 3


def test_the_device_is_synchronised_before_and_after_a_window(monkeypatch):
    """The time of queued work passes only when the device is synchronised."""
    clock, queue, order = Clock(), [], []

    def work():
        queue.append(0.1)
        order.append("work")

    def wait(device):
        clock.now += sum(queue)
        queue.clear()
        order.append("wait")

    monkeypatch.setattr(torch.cuda, "synchronize", wait)

    def reset(device):
        order.append("reset")
        queue.append(50.0)  # earlier work in the queue

    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 << 20)
    speed = measure_speed(work, Conditions(batch=2, size_px=8, device="cuda"), Limits(window_s=0.2, rounds=3), clock)
    assert speed.window_s == pytest.approx((0.2, 0.2, 0.2))
    assert speed.fps == pytest.approx(20.0)
    assert (speed.peak_mib, speed.peak_of) == (3.0, "tensors on the GPU")
    assert order[-4:] == ["wait", "work", "work", "wait"]
    assert order.index("reset") > order.index("work")  # the memory of compilation is not in the peak


def test_peak_memory_is_that_since_the_start_of_the_measurement():
    touch_mib(256)
    speed = measure_speed(lambda: touch_mib(32), CPU, Limits(window_s=0.0, rounds=3, warmup_s=0.0))
    if speed.peak_of == "the process":
        again = measure_speed(lambda: touch_mib(224), CPU, Limits(window_s=0.0, rounds=3, warmup_s=0.0))
        assert again.peak_mib > speed.peak_mib + 150


def touch_mib(size):
    """Use memory that comes from the system and not from memory that malloc kept."""
    with mmap.mmap(-1, size << 20) as memory:
        for start in range(0, size << 20, mmap.PAGESIZE):
            memory[start] = 1


def test_the_garbage_collector_is_off_in_a_window_and_on_afterwards():
    states = []
    measure_speed(lambda: states.append(gc.isenabled()), CPU, Limits(window_s=0.0, rounds=3, warmup_s=0.0))
    assert not any(states)
    assert gc.isenabled()


def rates(fps, clock, memory=None):
    """Return a function that makes work with a rate by batch size; batches above `memory` do not fit."""
    batches = []

    def make(batch):
        batches.append(batch)
        if memory is not None and batch > memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return clock.work([batch / fps(batch)])

    make.batches = batches
    return make


def test_the_search_ends_when_a_doubled_batch_is_not_faster():
    clock = Clock()
    make = rates(lambda batch: 100 * min(batch, 8) / 8, clock)
    speed = best_batch(make, CPU, Limits(rounds=5), clock)
    assert speed.conditions.batch == 8
    assert speed.fps == pytest.approx(100.0)
    assert [(t.batch, round(t.fps or 0)) for t in speed.tried] == [(1, 12), (2, 25), (4, 50), (8, 100), (16, 100)]
    assert speed.stopped == "a batch of 16 was not faster"
    assert make.batches == [1, 2, 4, 8, 16, 8]
    assert len(speed.window_s) == 5


def test_the_search_ends_when_a_batch_does_not_fit():
    clock = Clock()
    speed = best_batch(rates(float, clock, memory=4), CPU, Limits(rounds=5), clock)
    assert speed.conditions.batch == 4
    assert [(t.batch, t.fps) for t in speed.tried][-1] == (8, None)
    assert speed.stopped == "a batch of 8 did not fit in memory"


def test_a_batch_that_does_not_fit_in_the_final_measurement_is_replaced_by_a_smaller_one():
    clock = Clock()
    make = rates(float, clock, memory=8)
    final = rates(lambda batch: 3.0 * batch, clock, memory=2)
    speed = best_batch(make, CPU, Limits(rounds=5), clock, final=final)
    assert speed.conditions.batch == 2
    assert speed.fps == pytest.approx(6.0)
    assert final.batches == [8, 4, 2]
    assert [(t.batch, t.fps) for t in speed.tried][2:] == [(4, None), (8, None), (16, None)]
    reasons = [f"in the final measurement, a batch of {batch} did not fit" for batch in (8, 4)]
    assert speed.stopped.endswith("; ".join(reasons))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_batch=4), "the largest batch to try is 4"),
        (Limits(budget_s=20.0), "the time for trials is 20 s"),
    ],
)
def test_limits_end_the_search(limits, reason):
    clock = Clock()
    speed = best_batch(rates(float, clock), CPU, limits, clock)
    assert speed.stopped == reason
    assert speed.conditions.batch == speed.tried[-1].batch


def test_one_image_that_does_not_fit_is_an_error_and_other_errors_are_raised():
    clock = Clock()
    with pytest.raises(MissingError, match="not even one image of 64 px fits"):
        best_batch(rates(float, clock, memory=0), CPU, Limits(), clock)

    def broken(batch):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        best_batch(broken, CPU, Limits(), clock)


def test_errors_that_report_lack_of_memory():
    assert out_of_memory(torch.OutOfMemoryError("x"))
    assert out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)
    assert out_of_memory(error.value)
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_unknown_conditions_are_an_error():
    with pytest.raises(ArgumentError, match="did you mean 'bf16'"):
        Conditions(batch=1, size_px=8, device="cpu", dtype="bf61")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="did you mean 'channels_last'"):
        Conditions(batch=1, size_px=8, device="cpu", layout="channels")  # type: ignore[arg-type]


@pytest.mark.parametrize(("dtype", "rounded"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_only_tf32_allows_tf32(dtype, rounded):
    previous = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with precision(dtype):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (rounded, rounded)
    with pytest.raises(KeyError), precision(dtype):
        raise KeyError
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == previous

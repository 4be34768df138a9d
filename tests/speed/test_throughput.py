import gc
import mmap
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fgbench.speed.throughput import Conditions, Limits, best_batch, measure_speed, out_of_memory, precision
from fgbench.util.errors import FgbenchError, MissingError

CPU = Conditions(batch=4, size_px=64, device="cpu")


class Clock:
    """Time that passes only where it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        """Work whose calls take these seconds, the last one ever after."""
        seconds = list(seconds)
        calls = SimpleNamespace(count=0)

        def run():
            self.now += seconds[min(calls.count, len(seconds) - 1)]
            calls.count += 1

        run.calls = calls
        return run


def test_median_and_quartiles_are_those_of_windows_of_several_batches():
    clock = Clock()
    # First call, one to find the steps (1/8 s: 4 a window), two equal windows, then windows of other lengths.
    windows = [0.5, 0.5, 0.6, 0.4, 0.8, 0.5, 0.7]
    work = clock.work([9.0, 0.125, *(s / 4 for s in windows for _ in range(4))])
    found = measure_speed(work, CPU, Limits(window_s=0.5, rounds=5), clock)
    assert found.steps == 4
    assert found.window_s == pytest.approx(windows[2:])
    rates = np.percentile([4 * 4 / s for s in windows[2:]], [25, 50, 75])
    assert (found.fps_low, found.fps, found.fps_high) == pytest.approx(tuple(rates))
    assert found.fps == pytest.approx(16 / 0.6)
    assert found.step_s == pytest.approx(0.6 / 4)
    assert found.warmup_s == pytest.approx(9.0 + 0.125 + 1.0)
    assert found.steady
    assert found.conditions == CPU


def test_it_warms_until_two_windows_agree():
    clock = Clock()
    found = measure_speed(clock.work([9.0, 4.0, 3.0, 2.0, 1.0, 1.04, 1.0]), CPU, Limits(window_s=0.5, rounds=3), clock)
    assert found.window_s == pytest.approx((1.0, 1.0, 1.0))
    assert found.steady


def test_what_never_gets_steady_is_measured_and_said_to_be_unsteady():
    clock = Clock()
    found = measure_speed(clock.work([1.0, 2.0] * 40), CPU, Limits(window_s=0.1, rounds=4, warmup_s=10.0), clock)
    assert not found.steady
    assert len(found.window_s) == 4
    assert found.warmup_s < 13


def test_windows_end_with_the_budget_but_three_there_are():
    clock = Clock()
    assert len(measure_speed(clock.work([1.0]), CPU, Limits(rounds=50, budget_s=7.5), clock).window_s) == 8
    assert len(measure_speed(clock.work([9.0]), CPU, Limits(rounds=50, budget_s=7.5), clock).window_s) == 3


def test_the_device_is_waited_for_on_both_sides_of_a_window(monkeypatch):
    """The clock sees nothing of a queue until it is waited for: without that, work would seem to cost nothing."""
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
        queue.append(50.0)  # what somebody else has left to be done

    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 << 20)
    found = measure_speed(work, Conditions(batch=2, size_px=8, device="cuda"), Limits(window_s=0.2, rounds=3), clock)
    assert found.window_s == pytest.approx((0.2, 0.2, 0.2))
    assert found.fps == pytest.approx(20.0)
    assert (found.peak_mib, found.peak_of) == (3.0, "tensors on the GPU")
    assert order[-4:] == ["wait", "work", "work", "wait"]
    assert order.index("reset") > order.index("work")  # what compiling took is not in the peak


def test_peak_of_the_process_is_that_since_the_measurement_began():
    touch_mib(256)
    found = measure_speed(lambda: touch_mib(32), CPU, Limits(window_s=0.0, rounds=3, warmup_s=0.0))
    if found.peak_of == "the process":
        again = measure_speed(lambda: touch_mib(224), CPU, Limits(window_s=0.0, rounds=3, warmup_s=0.0))
        assert again.peak_mib > found.peak_mib + 150


def touch_mib(size):
    """Memory straight from the system and back to it: what malloc keeps of earlier tests cannot serve it."""
    with mmap.mmap(-1, size << 20) as memory:
        for start in range(0, size << 20, mmap.PAGESIZE):
            memory[start] = 1


def test_the_collector_does_not_run_in_a_window_and_is_on_again_afterwards():
    states = []
    measure_speed(lambda: states.append(gc.isenabled()), CPU, Limits(window_s=0.0, rounds=3, warmup_s=0.0))
    assert not any(states)
    assert gc.isenabled()


def rates(fps, clock, memory=None):
    """Works of batches that run at given rates; the largest fit no memory."""
    made = []

    def make(batch):
        made.append(batch)
        if memory is not None and batch > memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return clock.work([batch / fps(batch)])

    make.made = made
    return make


def test_the_best_batch_is_where_doubling_stops_to_pay():
    clock = Clock()
    make = rates(lambda batch: 100 * min(batch, 8) / 8, clock)
    found = best_batch(make, CPU, Limits(rounds=5), clock)
    assert found.conditions.batch == 8
    assert found.fps == pytest.approx(100.0)
    assert [(t.batch, round(t.fps or 0)) for t in found.tried] == [(1, 12), (2, 25), (4, 50), (8, 100), (16, 100)]
    assert found.stopped == "a batch of 16 was no faster"
    assert make.made == [1, 2, 4, 8, 16, 8]
    assert len(found.window_s) == 5


def test_memory_ends_the_search_and_is_said():
    clock = Clock()
    found = best_batch(rates(float, clock, memory=4), CPU, Limits(rounds=5), clock)
    assert found.conditions.batch == 4
    assert [(t.batch, t.fps) for t in found.tried][-1] == (8, None)
    assert found.stopped == "memory ended at a batch of 8"


def test_a_batch_that_does_not_fit_at_length_is_recorded_and_a_smaller_one_measured():
    clock = Clock()
    make = rates(float, clock, memory=8)
    final = rates(lambda batch: 3.0 * batch, clock, memory=2)
    found = best_batch(make, CPU, Limits(rounds=5), clock, final=final)
    assert found.conditions.batch == 2
    assert found.fps == pytest.approx(6.0)
    assert final.made == [8, 4, 2]
    assert [(t.batch, t.fps) for t in found.tried][2:] == [(4, None), (8, None), (16, None)]
    assert found.stopped.endswith("at length, one of 8 did not fit; at length, one of 4 did not fit")


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(most=4), "no batch over 4 is tried"),
        (Limits(budget_s=20.0), "trials ended after 20 s"),
    ],
)
def test_limits_end_the_search(limits, says):
    clock = Clock()
    found = best_batch(rates(float, clock), CPU, limits, clock)
    assert found.stopped == says
    assert found.conditions.batch == found.tried[-1].batch


def test_not_even_one_image_is_a_reason_and_other_errors_are_no_end_of_memory():
    clock = Clock()
    with pytest.raises(MissingError, match="not even one image of 64 px fits"):
        best_batch(rates(float, clock, memory=0), CPU, Limits(), clock)

    def broken(batch):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        best_batch(broken, CPU, Limits(), clock)


def test_what_memory_ends_with():
    assert out_of_memory(torch.OutOfMemoryError("x"))
    assert out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)
    assert out_of_memory(error.value)
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_conditions_refuse_what_is_not_known():
    with pytest.raises(FgbenchError, match="did you mean 'bf16'"):
        Conditions(batch=1, size_px=8, device="cpu", dtype="bf61")  # type: ignore[arg-type]
    with pytest.raises(FgbenchError, match="did you mean 'channels_last'"):
        Conditions(batch=1, size_px=8, device="cpu", layout="channels")  # type: ignore[arg-type]


@pytest.mark.parametrize(("dtype", "rounded"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_fp32_is_rounded_to_tf32_only_where_that_is_asked(dtype, rounded):
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with precision(dtype):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (rounded, rounded)
    with pytest.raises(KeyError), precision(dtype):
        raise KeyError
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before

import gc
import mmap

import numpy as np
import pytest
import torch
from fake_clock import Clock

from fgbench.speed.throughput import Conditions, Limits, measure_speed, out_of_memory, precision
from fgbench.util.errors import ArgumentError

CPU = Conditions(batch=4, size_px=64, device="cpu")


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

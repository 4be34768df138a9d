"""The probe of bfloat16 with a clock of its own: no test depends on the speed of this machine."""

import pytest
import torch

from fgbench.speed import precision_probe
from fgbench.speed.precision_probe import BUDGET_S, ROUNDS, bfloat16_gain, relative_speed


class Clock:
    """A clock that only the timed functions advance."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def __call__(self):
        return self.now

    def lasting(self, name, *times):
        """Return a function whose calls take these times in turn, the last one again and again."""
        left = list(times)

        def work():
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return work


@pytest.mark.parametrize(("half_s", "gain"), [(0.005, 2.0), (0.01, 1.0), (0.02, 0.5)])
def test_the_gain_is_the_ratio_of_the_times(half_s, gain):
    clock = Clock()
    assert relative_speed(clock.lasting("full", 0.01), clock.lasting("half", half_s), clock) == pytest.approx(gain)
    assert clock.calls == ["full", "half"] * (1 + ROUNDS)


def test_the_first_calls_and_single_slow_rounds_do_not_count():
    clock = Clock()
    full = clock.lasting("full", 9e-3, 1e-3, 50e-3, 1e-3)
    half = clock.lasting("half", 200e-3, 0.5e-3)
    assert relative_speed(full, half, clock) == pytest.approx(2)


def test_load_that_slows_both_does_not_change_the_gain():
    times = [0.01 * factor for factor in (1, 1, 2, 3, 4, 5)]
    clock = Clock()
    half = clock.lasting("half", *(time / 2 for time in times))
    assert relative_speed(clock.lasting("full", *times), half, clock) == pytest.approx(2)


def test_a_processor_that_needs_long_is_timed_once():
    clock = Clock()
    full, half = clock.lasting("full", 0.1), clock.lasting("half", 10 * BUDGET_S)
    assert relative_speed(full, half, clock) == pytest.approx(0.1 / (10 * BUDGET_S))
    assert clock.calls == ["full", "half"] * 2


def test_convolutions_are_timed_in_both_precisions_once_in_a_process(monkeypatch):
    seen = []

    def timed(reference, other):
        for call in (reference, other):
            types = []
            monkeypatch.setattr(torch.nn.Conv2d, "forward", noting(types))
            call()
            seen.append(types)
        return 2.5

    def noting(types):
        def forward(self, x):
            maps = torch.conv2d(x, self.weight, self.bias, padding=self.padding)
            types.append((maps.dtype, tuple(maps.shape)))
            return maps

        return forward

    monkeypatch.setattr(precision_probe, "relative_speed", timed)
    bfloat16_gain.cache_clear()
    assert bfloat16_gain("cpu", 1) == bfloat16_gain("cpu", 1) == 2.5
    bfloat16_gain.cache_clear()
    shapes = [(1, 64, 224, 224), (1, 128, 112, 112), (1, 256, 56, 56)]
    assert seen == [[(dtype, shape) for shape in shapes] for dtype in (torch.float32, torch.bfloat16)]

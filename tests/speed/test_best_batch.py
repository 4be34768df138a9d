"""The search for the best batch with a clock that only work moves forward."""

import random

import pytest
import torch
from fake_clock import Clock

from fgbench.speed.best_batch import best_batch
from fgbench.speed.method_speed import LIMITS
from fgbench.speed.throughput import Conditions, Limits
from fgbench.util.errors import MissingError

CPU = Conditions(batch=4, size_px=64, device="cpu")


def rates(fps, clock, memory=None):
    """Return a function that makes work with a rate by batch size; batches above `memory` do not fit."""
    batches = []

    def make(conditions):
        batches.append(conditions.batch)
        if memory is not None and conditions.batch > memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return clock.work([conditions.batch / fps(conditions.batch)])

    make.batches = batches
    return make


def trials(speed):
    return [(trial.batch, trial.fps and round(trial.fps)) for trial in speed.tried]


def test_the_search_ends_when_a_doubled_batch_is_not_faster():
    clock = Clock()
    make = rates(lambda batch: 100 * min(batch, 8) / 8, clock)
    found = best_batch(make, CPU, Limits(rounds=5), clock)
    assert (found.one.conditions.batch, found.best.conditions.batch) == (1, 8)
    assert (found.one.fps, found.best.fps) == pytest.approx((12.5, 100.0))
    assert trials(found.best) == [(1, 12), (2, 25), (4, 50), (8, 100), (16, 100)]
    assert found.best.stopped == "a batch of 16 was not faster"
    assert make.batches == [1, 2, 4, 8, 16, 1, 8]
    assert len(found.one.window_s) == len(found.best.window_s) == 5
    assert found.one.tried == ()
    before = clock()
    found.work()
    assert clock() - before == pytest.approx(8 / 100)


def test_one_image_is_the_best_batch_if_two_are_slower():
    clock = Clock()
    make = rates(lambda batch: 5.6 / batch, clock)
    found = best_batch(make, CPU, Limits(rounds=5), clock)
    assert found.best.conditions.batch == 1
    assert found.best.window_s == found.one.window_s
    assert found.best.stopped == "a batch of 2 was slower"
    assert trials(found.best) == [(1, 6), (2, 3)]
    assert make.batches == [1, 2]  # one image is not warmed up again
    assert len(found.one.window_s) == 5


def test_two_images_are_tried_also_after_the_time_for_trials():
    clock = Clock()
    found = best_batch(rates(lambda batch: 0.1 / batch, clock), CPU, Limits(search_s=1.0), clock)
    assert found.best.conditions.batch == 1
    assert found.best.stopped == "a batch of 2 was slower"


def test_one_image_has_the_whole_warm_up():
    """The first batches are slower, so that the third one is the first that agrees with the one before it."""
    clock = Clock()
    found = best_batch(lambda c: clock.work([0.8, 0.6, 0.4, 0.4]), CPU, Limits(warmup_s=2.0, max_batch=1), clock)
    assert found.one.steady
    assert found.best.steady


def noisy(clock, fps, noise):
    """Return a function that makes work with a rate by batch size, whose calls take longer by a random factor."""

    def make(conditions):
        def work():
            clock.now += conditions.batch / fps(conditions.batch) * noise(conditions.batch)

        return work

    return make


def test_noise_does_not_give_a_best_batch_that_is_slower_than_one_image():
    """Batch 2 takes 0.36 s an image where one image takes 0.18 s, and any window may take up to ten times as long."""
    for seed in range(60):
        clock, draw = Clock(), random.Random(seed)
        fps = {1: 1 / 0.18, 2: 1 / 0.36, 4: 1 / 0.36, 8: 1 / 0.36}.get
        found = best_batch(noisy(clock, fps, lambda batch, draw=draw: 10 ** draw.random()), CPU, LIMITS["cpu"], clock)
        assert found.best.fps >= found.one.fps


def test_load_during_the_search_does_not_decide():
    """One image is slowed by other load until the final measurement; then it is faster than two."""
    clock, made = Clock(), []
    slowed = noisy(clock, {1: 5.4, 2: 5.0}.get, lambda batch: 6.0 if batch == 1 and made.count(2) == 1 else 1.0)
    found = best_batch(lambda c: made.append(c.batch) or slowed(c), CPU, Limits(max_batch=2), clock)
    assert made == [1, 2, 2]
    assert (found.best.conditions.batch, found.best.fps) == (1, pytest.approx(5.4))
    assert trials(found.best) == [(1, 1), (2, 5)]
    assert found.best.stopped.endswith("; in the final measurement, a batch of 2 was slower than one image")


def test_load_that_slows_both_sizes_does_not_change_the_choice():
    """A machine that becomes slower by 2 % a second would make every larger batch look slower, measured one by one."""
    clock = Clock()
    make = noisy(clock, lambda batch: 4.0 * (1 + 0.3 * (batch > 1) + 0.3 * (batch > 3)), lambda batch: 1.02 ** clock())
    found = best_batch(make, CPU, Limits(window_s=0.1, search_s=60.0, warmup_s=5.0, max_batch=4), clock)
    assert found.best.conditions.batch == 4


def test_the_search_ends_when_a_batch_does_not_fit():
    clock = Clock()
    found = best_batch(rates(float, clock, memory=4), CPU, Limits(rounds=5), clock)
    assert found.best.conditions.batch == 4
    assert trials(found.best)[-1] == (8, None)
    assert found.best.stopped == "a batch of 8 did not fit in memory"


def test_trials_are_not_compiled_and_a_batch_that_does_not_fit_compiled_is_replaced_by_a_smaller_one():
    clock = Clock()
    eager, compiled = rates(float, clock, memory=8), rates(lambda batch: 3.0 * batch, clock, memory=2)
    conditions = Conditions(batch=1, size_px=64, device="cpu", compiled="default")
    found = best_batch(lambda c: (compiled if c.compiled else eager)(c), conditions, Limits(rounds=5), clock)
    assert found.best.conditions.batch == 2
    assert found.best.fps == pytest.approx(6.0)
    assert eager.batches == [1, 2, 4, 8, 16]
    assert compiled.batches == [1, 8, 4, 2]
    assert trials(found.best)[2:] == [(4, None), (8, None), (16, None)]
    reasons = [f"in the final measurement, a batch of {batch} did not fit" for batch in (8, 4)]
    assert found.best.stopped.endswith("; ".join(reasons))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_batch=4), "the largest batch to try is 4"),
        (Limits(search_s=20.0), "the time for trials is 20 s"),
    ],
)
def test_limits_end_the_search(limits, reason):
    clock = Clock()
    found = best_batch(rates(float, clock), CPU, limits, clock)
    assert found.best.stopped == reason
    assert found.best.conditions.batch == found.best.tried[-1].batch


def test_one_image_that_does_not_fit_is_an_error_and_other_errors_are_raised():
    clock = Clock()
    with pytest.raises(MissingError, match="not even one image of 64 px fits"):
        best_batch(rates(float, clock, memory=0), CPU, Limits(), clock)

    def broken(conditions):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        best_batch(broken, CPU, Limits(), clock)

"""Simulated nights: the rate of false alarms without a change, and the power to find planted changes."""

import numpy as np
from simulated_nights import CUB, NAMES, QUICK, kept, lose, night, quality_alarms, speed_alarms, worse

from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.timing import compare_speed


def test_two_hundred_nights_without_a_change_raise_two_alarms_at_most():
    """Every network is trained anew every night, and every benchmark timed."""
    rng = np.random.default_rng(0)
    speed, _ = speed_alarms(rng, 200, before=0)
    assert speed + quality_alarms(rng, 200) <= 2


def test_an_identical_night_has_no_finding():
    images = QUICK.night(np.random.default_rng(3), QUICK.chances(np.random.default_rng(4)))
    found, checks = compare_quality(kept(images), kept(images))
    assert found == []
    assert [check.p for check in checks] == [1.0] * QUICK.runs


def test_a_point_of_accuracy_at_the_size_of_cub_is_found_among_all_runs():
    rng = np.random.default_rng(1)
    for _ in range(2):
        images = CUB.night(rng, CUB.chances(rng))
        findings = worse(compare_quality(kept(images), kept(lose(rng, images, 4, 1.0))))
        assert [finding.where.partition(" on ")[0] for finding in findings] == [NAMES[4]]


def test_ten_percent_slower_is_found_in_the_same_night():
    rng = np.random.default_rng(2)
    past = [night(rng) for _ in range(14)]
    found = 0
    for _ in range(40):
        findings = worse(compare_speed(past, night(rng, slower=[7])))
        found += {finding.where for finding in findings} == {"b7"}
    assert found >= 36  # 97 % by many more nights; see simulated.py

"""Simulated nights: the rate of false alarms without a change, and the power to find planted changes."""

import numpy as np
from simulated_nights import CUB, NAMES, QUICK, kept, lose, quality_alarms, worse

from fgbench.judge.nightly.quality import compare_quality


def test_two_hundred_nights_without_a_change_raise_one_alarm_at_most():
    """Every network is trained anew every night."""
    assert quality_alarms(np.random.default_rng(0), 200) <= 1


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

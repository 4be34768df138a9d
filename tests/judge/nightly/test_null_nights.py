"""Simulated nights: the rate of false alarms of values without a change, and small planted changes."""

import numpy as np
from simulate.night_values import alarms, lose
from simulate.trainings import CUB, EFFECTS, NAMES, QUICK, kept, worse

from fgbench.judge.nightly.quality import compare_quality


def test_two_hundred_nights_without_a_change_raise_two_alarms_at_most():
    """Every network is trained anew every night."""
    assert alarms(np.random.default_rng(0), 200, QUICK, EFFECTS["Gaussian"]) <= 2


def test_an_identical_night_has_no_finding():
    images = QUICK.night(np.random.default_rng(3), QUICK.chances(np.random.default_rng(4)))
    found, checks = compare_quality(kept(images), kept(images))
    assert found == []
    assert [check.p for check in checks] == [1.0] * 3 * QUICK.runs  # values, single classes, spread over seeds


def test_a_point_of_accuracy_at_the_size_of_cub_is_found_among_all_runs():
    """The networks are the same, so that only the lost images differ."""
    rng = np.random.default_rng(1)
    for _ in range(2):
        images = CUB.night(rng, CUB.chances(rng))
        findings = worse(compare_quality(kept(images), kept(lose(rng, images, 4, 1.0))))
        assert [finding.where.partition(" on ")[0] for finding in findings] == [NAMES[4]]

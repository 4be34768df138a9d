"""Verdicts over seeds and splits: errors of both numbers, advice on seeds, failed trainings."""

from dataclasses import replace

import pytest
from made_records import made, of_accuracy
from made_verdicts import CELL, STEADY, of_one_run, over_seeds, verdict

from fgbench.judge.margin_test import decide
from fgbench.judge.verdict import Outcome
from fgbench.papers.printed import load_papers


@pytest.mark.parametrize("value", [84.46, 84.5, 84.54, 83.46, 83.54])
def test_rounding_of_the_printed_value_can_leave_one_run_open(value):
    """84.0 may stand for 83.95 to 84.05."""
    found = of_one_run(value)
    assert found.outcome == Outcome.INCONCLUSIVE
    assert "rounding of the printed value (up to 0.05)" in found.reason
    assert found.command == ""


def test_the_luck_of_the_printed_training_counts():
    """Two measured means that differ from the printed value by less than its own spread decide nothing."""
    values = [84.9 + 0.3 * k for k in (-1, 0, 1) * 10]
    found = verdict(over_seeds(values))
    assert found.outcome == Outcome.INCONCLUSIVE
    assert "the printed number is one training with a standard error of 0.25 points" in found.reason
    averaged = verdict(over_seeds(values), replace(CELL, draws=100))
    assert averaged.outcome == Outcome.EXCEEDS
    assert averaged.decision.best_of == ""


def test_the_best_of_three_trainings_is_reported():
    found = verdict(over_seeds(STEADY))
    assert found.decision.best_of == (
        "if the printed value is the best of 3 trainings, their mean is about 0.03 points lower, and the result is the "
        "same"
    )
    above = verdict(over_seeds([84.95, 85.05, 85.0, 84.98, 85.02, 84.96, 85.04, 84.3]))
    assert "their mean is about 0.21 points lower" in above.decision.best_of


def test_a_verdict_says_which_share_of_failed_trainings_is_not_excluded():
    assert verdict(over_seeds(STEADY)).reason.endswith("5 runs do not exclude that up to 45 % of trainings fail")


def test_a_failed_training_among_the_seeds_is_reported():
    found = verdict(over_seeds([*STEADY, 74.0]))
    assert found.outcome == Outcome.INCONCLUSIVE
    assert [a.text for a in found.anomalies] == ["seed 5 is -10.00 points from the mean of the other seeds, an outlier"]
    assert not verdict(over_seeds([*STEADY, 83.8])).anomalies  # smaller than the margin


def test_values_are_averaged_within_a_split_first():
    """Seeds k and k + 2 use the same split."""
    splits = [{"split": name} for name in ("a", "b", "a", "b", "c", "c")]
    records = [of_accuracy(v, k, **splits[k]) for k, v in enumerate([84.0, 84.2, 84.1, 84.3, 84.0, 84.0])]
    found = verdict(records, replace(CELL, draws=10))
    assert found.mean == pytest.approx((84.05 + 84.25 + 84.0) / 3)
    assert "over 3 splits" in found.reason
    two = verdict(records[:4], replace(CELL, draws=10))
    assert two.outcome == Outcome.INCONCLUSIVE
    assert "2 splits do not show" in two.reason
    one = verdict([of_accuracy(84.0 + k / 100, k, split="a") for k in range(5)], replace(CELL, draws=10))
    assert "one split does not show" in one.reason


def test_no_seeds_are_advised_beyond_the_splits_of_the_data_set():
    values = [84.0, 84.3, 83.9]
    advice = {
        most: decide(
            replace(CELL, draws=10, margin=0.7), values, deterministic=False, n=5794, splits="abc", most_splits=most
        )
        for most in (None, 3, 100)
    }
    assert advice[None].seeds_needed == advice[100].seeds_needed > 3
    assert advice[3].seeds_needed is None
    assert "no number of seeds would decide, because the data set has 3 splits" in advice[3].reason


def test_the_number_of_seeds_that_would_decide_is_in_reason_and_command():
    found = verdict(over_seeds([84.1, 84.05, 83.9]))
    assert found.outcome == Outcome.INCONCLUSIVE
    assert found.decision.seeds_needed > 3
    assert f"about {found.decision.seeds_needed} seeds would" in found.reason
    assert found.command == f"fgbench run bcnn/bcnn_dd --data cub --profile paper --seeds {found.decision.seeds_needed}"
    one = verdict([of_accuracy(84.1)])
    assert "5 seeds if it is below 0.06 or 10 seeds if it is below 0.09 points would decide" in one.reason
    assert one.command.endswith("--seeds 3")


def test_a_small_test_set_does_not_decide_for_other_images():
    """The printed number has the sampling error of the same images; for others it does not cancel."""
    found = verdict(over_seeds(STEADY))
    assert found.outcome == Outcome.REPRODUCED
    assert "sampling error 0.48 points with 5,794 images" in found.decision.other_images
    assert "no number of seeds decides, because the test set is too small" in found.decision.other_images
    larger = verdict(over_seeds(STEADY, half=0.1, n=100_000))
    assert larger.decision.other_images.endswith("inside the margin for other images, too")
    between = verdict(over_seeds([84.14 + 1.5 * (value - 84) for value in STEADY], half=0.12))
    assert between.outcome == Outcome.REPRODUCED
    assert "sampling error 0.06 points" in between.decision.other_images
    assert "seeds would decide" in between.decision.other_images
    assert verdict([of_accuracy(84.0, half=0.2)]).decision.other_images.endswith("too few seeds to decide")
    alone = of_one_run(85.2)
    assert alone.decision.other_images.endswith("is too close to the edge of the margin")
    assert found.sampling == pytest.approx((84.0 - 0.94, 84.0 + 0.94))


def test_random_splits_are_tested_over_several_runs():
    cell = next(c for c in load_papers()["where_to_focus"].cells() if c.id == "t3/ours_dm/cuhk03_r1")
    key = "where_to_focus/spatial_lstm_dm@cuhk03"

    def searches(values, sd):
        rates = [{"cmc@1": {"value": v, "unit": "%", "n": 100, "low": v - 9, "high": v + 9}} for v in values]
        records = [
            made(key, seed, values=rate, data="cuhk03", split=f"{seed + 1}", protocol={"data": "cuhk03"})
            for seed, rate in enumerate(rates)
        ]
        return verdict(records, cell)

    assert searches([65.0], 0).outcome == Outcome.INCONCLUSIVE
    found = searches([61.0, 70.0, 66.0, 63.0, 67.0, 64.0], 3)
    assert found.outcome == Outcome.INCONCLUSIVE
    assert (
        "no number of seeds would decide, because the printed number is a mean over 10 other random splits "
        in found.reason
    )
    assert "a standard error of 1.01 points" in found.reason
    assert found.command == ""
    assert "each seed has its own random split" in found.decision.other_images

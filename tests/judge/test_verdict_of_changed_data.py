"""Verdicts on runs whose images were compressed in a way of unknown effect."""

from dataclasses import replace

import numpy as np
import pytest
from made_records import RECIPES, deviation, untrained
from recompressed_runs import FIXED, KEY, bounds_of, run_at

from fgbench.judge.margin_test import decide
from fgbench.judge.other_margins import at_other_margins
from fgbench.judge.verdict import Outcome, judge
from fgbench.papers.printed import load_papers

CELL = next(cell for cell in load_papers()["bcnn"].cells() if cell.id == "t1/bcnn_dd/birds")
IMAGES = deviation("data.images", changes=False, run="all recompressed").model_copy(update={"origin": "data"})
IMAGES_OF_CUB = 5794
RIGHT = 4056
"""Correctly classified images of the plain run: 70.0 %."""


def run(quality=None, lower=0):
    """Return a run of all test images of CUB in which `lower` images less than in the plain run are right."""
    right = np.arange(IMAGES_OF_CUB) < RIGHT - lower
    return run_at(right, quality, changes=FIXED, classes=200, deviations=[IMAGES])


def judged(printed, effects):
    """Return the verdict on a plain run, with recompressed runs at some qualities."""
    runs = [run(), *(run(quality, lower) for quality, lower in effects.items())]
    cell = replace(CELL, value=printed, margin=2.0)
    records = [record for record, _ in runs]
    return judge(cell, records, {}, {**RECIPES, KEY: untrained(KEY)}, bounds=bounds_of(*runs))


def test_without_a_bound_the_verdict_is_open_and_says_by_how_much_the_value_differs():
    found = judged(75.0, {})
    assert found.outcome == Outcome.INCONCLUSIVE
    assert "-5.00 points from the printed 75" in found.reason
    assert "all recompressed instead of 1, with an unknown effect on the number" in found.reason
    assert found.command == "fgbench sensitivity bcnn/bcnn_dd --data cub --profile paper --recompress 75,50,30"
    assert judged(75.0, {75: 0, 60: 0}).outcome == Outcome.INCONCLUSIVE  # no strong compression
    assert found.decision.other_images == ""  # not known either


@pytest.mark.parametrize("printed", [70.5, 72.0, 75.0])
def test_without_a_bound_the_verdict_is_open_at_every_margin(printed):
    assert {other.outcome for other in at_other_margins(judged(printed, {}))} == {Outcome.INCONCLUSIVE}


@pytest.mark.parametrize(
    ("printed", "effects", "outcome"),
    [
        (75.0, {50: 10, 30: 20}, Outcome.NOT_REPRODUCED),
        (75.0, {50: 100, 30: 180}, Outcome.INCONCLUSIVE),
        (70.5, {50: 10, 30: 20}, Outcome.REPRODUCED),
        (70.5, {50: 50, 30: 90}, Outcome.INCONCLUSIVE),
        (65.0, {50: -10, 30: -20}, Outcome.EXCEEDS),
    ],
)
def test_a_bound_decides_if_the_effect_cannot_move_the_value_across_the_margin(printed, effects, outcome):
    found = judged(printed, effects)
    assert found.mean == pytest.approx(100 * RIGHT / IMAGES_OF_CUB)
    assert found.outcome == outcome
    assert "which changes the number by at most" in found.reason
    assert f"measured by {len(effects) + 1} runs" in found.reason
    assert "quality 30: " in found.data_effect
    if outcome == Outcome.INCONCLUSIVE:
        assert "and the changed data (up to" in found.reason
        assert "for other images, too" not in found.decision.other_images


def test_a_bound_that_is_wider_than_the_margin_is_the_reason():
    steady = [69.98, 70.0, 70.02, 69.99, 70.01]
    cell = replace(CELL, value=70.0, margin=0.77)
    found = decide(cell, steady, deterministic=False, n=5794, data_bound=0.75)
    assert "rounding of the printed value (up to 0.05) and the changed data (up to 0.75) can move" in found.reason
    wide = decide(cell, steady, deterministic=False, n=5794, data_bound=1.6)
    assert "the changed data (up to 1.60)" in wide.reason
    assert "one training" not in wide.reason
    few = decide(cell, steady[:1], deterministic=False, n=5794, data_bound=1.6)
    assert "0.00" not in few.reason.partition("margin 0.77")[2]

"""The reason of a verdict in a few words."""

from dataclasses import replace

import numpy as np
import pytest
from made_records import deviation, of_accuracy
from made_verdicts import CELL, CELLS, STEADY, over_seeds, verdict
from test_verdict_of_changed_data import IMAGES, judged

from fgbench.judge.anomaly import Anomaly
from fgbench.judge.reason_words import short_reason
from fgbench.judge.verdict import Outcome

OTHER = [deviation("stages", run="none")]


def moved(by):
    return [value + by for value in STEADY]


@pytest.mark.parametrize(
    ("values", "outcome", "words"),
    [
        (STEADY, "reproduced", "within the margin"),
        (moved(3), "exceeds", "above the margin"),
        (moved(-3), "not reproduced", "below the margin"),
        ([84.0], "inconclusive", "too few seeds"),
        ([84.0, 84.1], "inconclusive", "too few seeds"),
    ],
)
def test_each_outcome_has_its_reason(values, outcome, words):
    found = verdict(over_seeds(values))
    assert (found.outcome.value, short_reason(found)) == (outcome, words)


def test_an_open_test_has_the_number_of_seeds_that_would_decide():
    found = verdict(over_seeds([84.0, 84.1, 84.2]))
    needed = found.decision.seeds_needed
    assert needed > 3
    assert short_reason(found) == f"3 seeds do not decide; {needed} would"
    one = replace(found, records=found.records[:1])
    assert short_reason(one) == f"1 seed does not decide; {needed} would"


def test_no_number_of_seeds_would_decide_if_the_effect_of_the_images_is_not_known():
    found = verdict(over_seeds([84.0, 84.1, 84.2], deviations=[IMAGES]))
    assert found.decision.seeds_needed > 3
    assert short_reason(found) == "3 seeds do not decide, and the effect of the compressed images is not known"


def test_if_no_number_of_seeds_would_decide_none_is_named():
    found = verdict(over_seeds([83.8, 84.0, 84.3]))
    assert (found.outcome, found.decision.seeds_needed) == (Outcome.INCONCLUSIVE, None)
    assert "no number of seeds would decide" in found.reason
    assert short_reason(found) == "the seeds do not decide"


def test_compressed_images_are_the_reason_if_their_effect_is_not_known_or_too_large():
    assert short_reason(judged(75.0, {})) == "the effect of the compressed images is not known"
    wide = judged(75.0, {50: 100, 30: 180})
    assert wide.data_effect
    assert short_reason(wide) == "compressed images may make the difference"
    assert short_reason(judged(75.0, {50: 10, 30: 20})) == "below the margin"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"synthetic": True, "data": "synthetic_birds", "deviations": OTHER}, "synthetic data"),
        ({"deviations": OTHER}, "not fine-tuned"),
        ({"deviations": [*OTHER, deviation("control", run="shuffled labels")]}, "shuffled labels, not fine-tuned"),
        ({"deviations": [*OTHER, *map(deviation, ("options.a", "options.b", "options.c"))]},
         "not fine-tuned, options.a is 2 instead of 1 and 2 more"),
    ],
)  # fmt: skip
def test_a_run_that_is_not_comparable_has_its_changes(fields, words):
    found = verdict([of_accuracy(84.0, **fields)])
    assert (found.outcome, short_reason(found)) == (Outcome.NOT_COMPARABLE, words)


def test_impossible_values_come_before_every_other_reason():
    (record,) = over_seeds([float(np.nan)], synthetic=True)
    assert short_reason(verdict([record])) == "the values cannot be right"
    plain = of_accuracy(84.0)
    leak = verdict([plain], anomalies={plain.run_id: [Anomaly("leak", "why")]})
    assert (leak.outcome, short_reason(leak)) == (Outcome.NOT_COMPARABLE, "the values cannot be right")


def test_runs_of_several_protocols_have_no_number():
    found = verdict([of_accuracy(84.0), of_accuracy(80.0, protocol={"images": "others"})])
    assert found.mean is None
    assert short_reason(found) == "runs of several protocols"


def test_a_change_that_the_record_does_not_list_is_named_as_such():
    plain = of_accuracy(84.0)
    found = verdict([plain.model_copy(update={"settings": plain.settings | {"backbones": ["vggm:conv5"]}})])
    assert found.reason.startswith("the run differs from the recipe, and its record does not list it")
    assert short_reason(found) == "a change is not listed in the record"


def test_a_cell_without_runs_has_its_whole_reason():
    for cell in (CELL, CELLS["t1/bcnn_dd/cars"]):
        found = verdict([], cell)
        assert found.outcome == Outcome.NOT_RUN
        assert short_reason(found) == found.reason == "there is no record"

"""Verdicts at other margins."""

from dataclasses import replace

import pytest
from made_records import RECIPES, deviation, made, of_accuracy
from report_pages import PAPERS

from fgbench.judge.margin_test import decide
from fgbench.judge.other_margins import at_other_margins
from fgbench.judge.verdict import OUTCOME_AT, Outcome, judge

CELL = next(cell for cell in PAPERS["bcnn"].cells() if cell.id == "t1/bcnn_dd/birds")


def judged(*records):
    return judge(CELL, records, {}, RECIPES)


@pytest.mark.parametrize("mean", [82.4, 83.1, 84.0, 84.5, 84.9, 85.6])
def test_the_outcome_at_another_margin_is_that_of_a_cell_with_this_margin(mean):
    records = [of_accuracy(mean + s / 40, s) for s in range(4)]
    verdict = judged(*records)
    others = at_other_margins(verdict)
    assert [other.margin for other in others] == [CELL.margin / 2, CELL.margin * 2]
    for other in others:
        again = decide(
            replace(CELL, margin=other.margin),
            [record.values["accuracy"].value for record in records],
            deterministic=False,
            n=5794,
            splits=[""] * 4,
        )
        assert other.outcome == OUTCOME_AT[again.position]
        assert other.outcome == judge(replace(CELL, margin=other.margin), records, {}, RECIPES).outcome


def test_some_verdicts_depend_on_the_margin_and_some_do_not():
    def outcomes(mean):
        verdict = judged(*(of_accuracy(mean + s / 50, s) for s in range(5)))
        half, twice = at_other_margins(verdict)
        return half.outcome, verdict.outcome, twice.outcome

    same = Outcome.REPRODUCED
    assert outcomes(84.0) == (same, same, same)
    assert outcomes(85.1) == (Outcome.EXCEEDS, Outcome.EXCEEDS, same)
    assert outcomes(80.0) == (Outcome.NOT_REPRODUCED,) * 3


def test_a_cell_without_a_test_has_no_outcome_at_other_margins():
    synthetic = made(values=of_accuracy(84.0).values, synthetic=True)
    assert at_other_margins(judged(synthetic)) == at_other_margins(judged()) == []


def test_data_with_an_unknown_effect_leave_a_cell_open_at_every_margin():
    changed = deviation("data.images", changes=False).model_copy(update={"origin": "data"})
    verdict = judged(*(of_accuracy(84.0 + s / 50, s, deviations=[changed]) for s in range(5)))
    assert verdict.decision.position == "inside"
    assert {other.outcome for other in at_other_margins(verdict)} == {verdict.outcome} == {Outcome.INCONCLUSIVE}

from dataclasses import replace

import pytest
from made_records import RECIPES, of_accuracy

from fgbench.judge.adjustment import adjust_for_all, count_tests
from fgbench.judge.verdict import Outcome, Verdict, judge
from fgbench.papers.printed import load_papers
from fgbench.statistics import holm

CELLS = [replace(cell, margin=0.5) for cell in load_papers()["bcnn"].cells() if cell.id.endswith("birds")]
STEADY = [0.0, 0.05, -0.05, 0.02, -0.02]


def judged(shift, cell, factor=1.0):
    """Return the verdict on five runs whose mean differs from the printed value by `shift`."""
    records = [
        of_accuracy(cell.value + shift + factor * value, seed, recipe=f"{cell.recipe}@cub")
        for seed, value in enumerate(STEADY)
    ]
    return judge(cell, records, {}, RECIPES)


@pytest.fixture
def verdicts():
    """Return verdicts that are decided clearly, decided barely, open, and not tested."""
    clear, weak, opened = judged(0.0, CELLS[1]), judged(0.22, CELLS[1]), judged(0.5, CELLS[1])
    not_run = judge(CELLS[0], [], {}, RECIPES)
    return {"one": [clear, not_run, weak], "two": [opened]}


def test_p_values_are_adjusted_for_all_cells_of_all_papers(verdicts):
    clear, weak, opened = verdicts["one"][0], verdicts["one"][2], verdicts["two"][0]
    assert (clear.outcome, weak.outcome, opened.outcome) == ("reproduced", "reproduced", "inconclusive")
    adjusted = adjust_for_all(verdicts)
    expected = holm([clear.decision.p, weak.decision.p, opened.decision.p])
    found = [adjusted["one"][0], adjusted["one"][2], adjusted["two"][0]]
    assert [verdict.adjusted_p for verdict in found] == pytest.approx(expected)
    assert adjusted["one"][1].adjusted_p is None
    assert [verdict.outcome for verdict in found] == [clear.outcome, weak.outcome, opened.outcome]


def test_a_weak_decision_is_open_after_the_adjustment(verdicts):
    many = {"one": verdicts["one"], "two": verdicts["two"] * 4}
    adjusted = adjust_for_all(many)["one"]
    assert [verdict.adjusted for verdict in adjusted] == [
        Outcome.REPRODUCED if adjusted[0].adjusted_p < 0.05 else Outcome.INCONCLUSIVE,
        Outcome.NOT_RUN,
        Outcome.INCONCLUSIVE,
    ]
    assert adjusted[2].adjusted_p > 0.05 > adjusted[2].decision.p


def test_tests_are_counted(verdicts):
    counted = count_tests([v for paper in adjust_for_all(verdicts).values() for v in paper])
    assert (counted.tested, counted.decided) == (3, 2)
    assert counted.expected_false == pytest.approx(0.15)
    assert counted.still_decided == sum(
        verdict.adjusted == Outcome.REPRODUCED for verdict in adjust_for_all(verdicts)["one"]
    )


def test_a_verdict_without_a_test_keeps_its_outcome():
    for outcome in Outcome:
        assert Verdict(CELLS[0], outcome, "").adjusted == outcome

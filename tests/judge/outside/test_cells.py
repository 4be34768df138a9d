"""Which printed cells predictions can answer, and why not the others."""

import pytest

import fgbench
from fgbench.judge.outside.cells import asked_cell
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.util.errors import FgbenchError, MissingError

REFUSED = {
    "bcnn/t1/bcnn_d/birds": "no cell named 'bcnn/t1/bcnn_d/birds'; did you mean 'bcnn/t1/bcnn_dm/birds'",
    "birds": "no cell named 'birds'; a cell is named PAPER/TABLE/ROW/COLUMN",
    "bcnn/birds_order": "is a claim on an order of methods",
    "where_to_focus/t2/fv_sift/birds": "repeats a number of another paper",
    "where_to_focus/t2/krause_et_al/birds": "has no recipe for",
}


@pytest.mark.parametrize(("name", "message"), REFUSED.items(), ids=REFUSED)
def test_a_cell_that_predictions_do_not_answer_is_refused(name, message):
    with pytest.raises(FgbenchError, match=message) as error:
        asked_cell(name)
    assert error.value.hint


def test_a_cited_cell_names_the_cell_that_is_judged():
    with pytest.raises(FgbenchError) as error:
        asked_cell("where_to_focus/t2/fv_sift/birds")
    assert error.value.hint == "--cell bcnn/t1/fv_sift/birds_no_ft"


def test_every_cell_is_answered_or_refused_with_a_reason(monkeypatch):
    papers, recipes = load_papers(), load_recipes()
    monkeypatch.setattr("fgbench.judge.outside.cells.load_papers", lambda: papers)
    monkeypatch.setattr("fgbench.judge.outside.cells.load_recipes", lambda: recipes)
    for paper in papers.values():
        for cell in paper.cells():
            if cell.recipe and not cell.cites and cell.metric != "fps":
                assert asked_cell(f"{paper.id}/{cell.id}").cell == cell
                continue
            with pytest.raises(FgbenchError) as error:
                asked_cell(f"{paper.id}/{cell.id}")
            assert ("no predictions give" in error.value.args[0]) == (cell.metric == "fps")


def test_a_data_set_that_is_not_here_is_named_with_its_command():
    for name, command in (
        ("bcnn/t1/bcnn_dd/aircraft", "fgbench data get aircraft"),
        ("where_to_focus/t3/ours_dm/market_r1", "fgbench data get market1501"),
    ):
        with pytest.raises(MissingError) as error:
            fgbench.judge({"id": [1], "label": [1]}, cell=name)
        assert error.value.hint == command

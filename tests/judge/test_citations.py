"""Numbers that one paper cites from another one are judged once."""

from made_records import RECIPES, of_accuracy

from fgbench.judge.citations import counted_once
from fgbench.judge.columns import judge_papers
from fgbench.judge.verdict import Outcome
from fgbench.papers.printed import load_papers

PAPERS = load_papers()


def verdicts(*records, papers=PAPERS):
    judged = judge_papers(papers, records, {}, RECIPES)
    return {f"{name}/{verdict.cell.id}": verdict for name, of_paper in judged.items() for verdict in of_paper}


def test_all_numbers_that_a_paper_repeats_from_another_one_are_citations():
    cells = [cell for paper in PAPERS.values() for cell in paper.cells()]
    printed = {(c.paper, c.data, c.metric, c.params, c.value) for c in cells if c.role != "context" and not c.cites}
    # Another paper prints the same number for the same recipe.
    assert not [
        (a.paper, a.id, b.paper, b.id)
        for a in cells for b in cells
        if a.paper < b.paper and a.recipe and (a.recipe, a.data, a.metric) == (b.recipe, b.data, b.metric)
        and a.value == b.value and not a.cites and not b.cites
    ]  # fmt: skip
    cited = [cell for cell in cells if cell.cites]
    assert len(cited) == 19
    assert {cell.cites.split("/")[0] for cell in cited} == {"bcnn"}
    assert all(("bcnn", c.data, c.metric, c.params, c.value) in printed for c in cited)


def test_a_cited_number_has_the_verdict_of_its_source_in_both_papers_and_counts_once():
    of_both = verdicts(*(of_accuracy(70.4 + s / 50, s, recipe="bcnn/fc_cnn_d@cub") for s in range(3)))
    source, cited = of_both["bcnn/t1/fc_cnn_d/birds"], of_both["where_to_focus/t2/fc_cnn_d/birds"]
    assert source.outcome == cited.outcome == Outcome.REPRODUCED
    assert (cited.mean, cited.reason, cited.decision) == (source.mean, source.reason, source.decision)
    assert (cited.cell.paper, cited.cell.cites) == ("where_to_focus", "bcnn/t1/fc_cnn_d/birds")
    assert [v.cell.paper for v in counted_once(of_both.values()) if v.outcome == Outcome.REPRODUCED] == ["bcnn"]
    assert list(of_both) == [f"{name}/{cell.id}" for name, paper in PAPERS.items() for cell in paper.cells()]


def test_a_context_row_that_cites_a_number_has_its_verdict():
    of_both = verdicts(of_accuracy(84.0))
    assert of_both["keypoint_fcn/t1/bilinear_model/accuracy"].mean == 84.0
    assert of_both["keypoint_fcn/t1/bilinear_model/accuracy"].outcome == of_both["bcnn/t1/bcnn_dd/birds"].outcome


def test_a_paper_without_the_cited_one_is_judged_by_itself():
    alone = verdicts(of_accuracy(70.4, recipe="bcnn/fc_cnn_d@cub"), papers={"where_to_focus": PAPERS["where_to_focus"]})
    assert alone["where_to_focus/t2/fc_cnn_d/birds"].mean == 70.4


def test_a_cited_number_of_another_protocol_than_the_column_is_shown_in_its_own_paper_only():
    small = {"protocol": {"images": "recompressed"}}
    both = verdicts(
        of_accuracy(70.4, recipe="bcnn/fc_cnn_d@cub"),
        of_accuracy(86.9, recipe="bcnn/bcnn_spp_dm@cub", **small),
    )
    source, cited = both["bcnn/t1/fc_cnn_d/birds"], both["where_to_focus/t2/fc_cnn_d/birds"]
    assert (source.mean, cited.mean) == (70.4, None)
    assert (cited.outcome, cited.reason) == (source.outcome, source.reason)
    assert both["where_to_focus/t2/bcnn_spp_dm/birds"].mean == 86.9

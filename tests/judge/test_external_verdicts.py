"""Results from outside are decided by the same test, marked, and change nothing of the verdicts on runs."""

from dataclasses import replace

import numpy as np
import pytest
from external_results import external, outside, outside_of
from made_records import RECIPES, Kept, deviation, made, of_accuracy, of_right
from made_verdicts import CELL, STEADY, over_seeds, verdict

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.claims import check_claims
from fgbench.judge.columns import judge_papers
from fgbench.judge.external_verdicts import external_verdicts, with_external
from fgbench.judge.recomputed import depends_on_seed, hidden_deviations
from fgbench.judge.run_pairs import ClaimState
from fgbench.judge.verdict import Outcome
from fgbench.papers.printed import load_papers
from fgbench.records.external import UNCHECKED

PAPERS = load_papers()


def results(*values, **fields):
    return [outside(value, seed, **fields) for seed, value in enumerate(values)]


def judged(records, papers=None):
    return {v.cell.id: v for v in judge_papers(papers or {"bcnn": PAPERS["bcnn"]}, records, {}, RECIPES)["bcnn"]}


@pytest.mark.parametrize("values", [STEADY, [70.0, 70.1, 69.9], [95.0, 95.1, 94.9], [84.0], [84.0, 84.1]])
def test_the_verdict_is_that_of_a_run_with_the_same_values_and_says_what_nobody_has_checked(values):
    (result,) = external_verdicts(CELL, results(*values), RECIPES)
    run = verdict(over_seeds(values))
    assert (result.outcome, result.mean, result.decision) == (run.outcome, run.mean, run.decision)
    assert result.reason == f"{run.reason}; {UNCHECKED['predictions']}"
    assert result.command == ""


def test_one_result_never_decides_as_if_it_used_no_random_numbers():
    record = outside(84.0, seeded=False)
    assert depends_on_seed(record)
    assert [d.field for d in hidden_deviations(record, RECIPES[record.recipe])] == ["seeded"]


def test_verdicts_on_runs_and_their_p_values_are_the_same_with_and_without_results_from_outside():
    runs = over_seeds(STEADY)
    alone, together = judged(runs), judged([*runs, *results(90.0, 90.1, 89.9), *results(60.0, name="other")])
    assert {key: replace(v, external=()) for key, v in together.items()} == alone
    names = [
        [v.records[0].external.name for v in verdict.external] for verdict in together.values() if verdict.external
    ]
    assert names == [["mine", "other"]]
    assert judged(results(84.0))["t1/bcnn_dd/birds"].outcome == Outcome.NOT_RUN


def test_results_of_two_names_are_two_verdicts_and_files_of_one_are_its_seeds():
    verdicts = external_verdicts(
        CELL, [*results(84.0, 84.1, 83.9), outside(70.0, name="b"), *over_seeds([1.0])], RECIPES
    )
    assert [(len(v.records), round(v.mean, 9)) for v in verdicts] == [(3, 84.0), (1, 70.0)]
    assert external_verdicts(replace(CELL, recipe="bcnn/fc_cnn_d"), results(84.0), RECIPES) == []


def test_deviations_of_data_and_protocol_count_and_those_of_the_method_are_not_known():
    record = outside(84.0)
    assert hidden_deviations(record, RECIPES[record.recipe]) == []
    for protocol, field in (
        ({"annotations": "x"}, "data.annotations"), ({"test_images": 5}, "data.counts.test"),
        ({"metrics": []}, "protocol.metrics"), ({"control": "shuffled"}, "control"),
    ):  # fmt: skip
        changed = outside(84.0, protocol=protocol)
        assert field in [d.field for d in hidden_deviations(changed, RECIPES[changed.recipe])]
    (result,) = external_verdicts(CELL, results(*STEADY, deviations=[deviation("data.classes")]), RECIPES)
    assert result.outcome == Outcome.NOT_COMPARABLE
    (result,) = external_verdicts(CELL, results(*STEADY, synthetic=True), RECIPES)
    assert "synthetic data" in result.reason


def test_a_network_from_outside_is_compared_with_its_recipe():
    fields = {"external": external()["external"] | {"what": "network", "answers": ""}, "profile": "external"}
    record = of_accuracy(84.0, **fields)
    assert record.computed_here
    assert hidden_deviations(record, RECIPES[record.recipe]) == []
    changed = record.model_copy(update={"method": "fc_cnn"})
    assert [d.field for d in hidden_deviations(changed, RECIPES[record.recipe])] == ["method"]
    (result,) = external_verdicts(CELL, [record], RECIPES)
    assert result.reason.endswith(UNCHECKED["network"])


@pytest.mark.parametrize(("run", "has_number"), [({}, False), ({"synthetic": True}, True),
                                                 ({"deviations": [deviation("data.classes")]}, True)])  # fmt: skip
def test_a_column_has_one_protocol_and_runs_on_other_data_do_not_set_that_of_a_result(run, has_number):
    other = {"images": "others"}
    verdicts = judged([*over_seeds(STEADY, protocol=other, **run), *results(*STEADY)])
    cell = verdicts["t1/bcnn_dd/birds"]
    assert cell.mean is not None
    assert (cell.external[0].mean is not None) == has_number
    if not has_number:
        assert "another protocol than the column: images: others or i" in cell.external[0].reason


def test_predictions_of_a_run_are_a_copy_and_say_nothing_against_the_run():
    right = np.arange(80) % 5 > 0
    run, arrays = of_right(right)
    copy, _ = outside_of(arrays)
    other, _ = outside_of(arrays, name="other")
    kept = Kept((run, arrays), (copy, arrays), (other, arrays))
    found = find_anomalies(kept.records, kept)
    assert {run_id: [a.kind for a in anomalies] for run_id, anomalies in found.items()} == {
        copy.run_id: ["copy"], other.run_id: ["copy"],
    }  # fmt: skip
    assert "B-CNN [D,D], seed 0" in found[copy.run_id][0].text
    assert not found[copy.run_id][0].invalidates_run


def test_a_claim_uses_no_result_from_outside():
    papers = {"bcnn": PAPERS["bcnn"]}
    worst, *order = reversed(next(claim.order for claim in PAPERS["bcnn"].claims if claim.id == "birds_order"))
    shares = dict(zip(order, (0.5, 0.6, 0.7, 0.8, 0.9), strict=False))
    pairs = [of_right(np.arange(200) < 200 * share, recipe=f"{name}@cub") for name, share in shares.items()]
    _, arrays = of_right(np.arange(200) < 20)
    results = [outside_of(arrays, seed, recipe=f"{worst}@cub", profile="external") for seed in range(3)]
    kept = Kept(*pairs, *results)
    (claim,) = [c for c in check_claims(papers, kept.records, kept, RECIPES) if c.claim.id == "birds_order"]
    assert (claim.state, claim.text) == (ClaimState.NOT_RUN, f"there is no record of {worst}@cub")


def test_with_external_lists_each_result_after_its_cell():
    run, result = verdict(over_seeds(STEADY)), external_verdicts(CELL, results(84.0), RECIPES)[0]
    assert with_external([replace(run, external=(result,)), run]) == [replace(run, external=(result,)), result, run]


def test_an_unmarked_or_half_marked_record_is_refused():
    for fields in ({"profile": "external"}, {"external": external()["external"]}):
        with pytest.raises(ValueError, match="must be given together"):
            made(values={"accuracy": {"value": 1, "unit": "%", "n": 2}}, **fields)

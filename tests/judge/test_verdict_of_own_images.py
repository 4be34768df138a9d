"""Runs on images of the user answer no printed number and test no claim."""

import numpy as np
from made_records import RECIPES, deviation, of_accuracy, of_right

from fgbench.judge.claims import check_claims
from fgbench.judge.nightly.run_names import run_label
from fgbench.judge.run_pairs import ClaimState
from fgbench.judge.verdict import Outcome, judge
from fgbench.papers.printed import load_papers
from fgbench.report.html.data_origin import data_origin

OWN = {"data": "imagefolder:my_leaves", "protocol": {"data": "imagefolder"}, "deviations": [deviation("data")]}


def test_a_record_on_own_images_is_no_record_of_a_cell():
    cell = next(c for c in load_papers()["bcnn"].cells() if (c.recipe, c.data) == ("bcnn/bcnn_dd", "cub"))
    assert judge(cell, [of_accuracy(84.0, **OWN)], {}, RECIPES).outcome == Outcome.NOT_RUN
    verdict = judge(cell, [of_accuracy(84.0, **OWN), of_accuracy(cell.value, seed=1)], {}, RECIPES)
    assert verdict.mean == cell.value
    assert [record.seed for record in verdict.records] == [1]


def test_a_record_on_own_images_tests_no_claim():
    papers = load_papers()
    (claim,) = [c for c in papers["bcnn"].claims if c.data == "cub"][:1]
    right = np.arange(400) % 4 > 0
    made = [of_right(right, f"{recipe}@cub", **fields) for recipe in claim.order for fields in ({}, OWN)]
    outputs = {record.run_id: arrays for record, arrays in made}
    for records, state in (
        ([record for record, _ in made if record.own_images], {ClaimState.NOT_RUN}),
        ([record for record, _ in made if not record.own_images], set(ClaimState) - {ClaimState.NOT_RUN}),
    ):
        results = check_claims(papers, records, lambda record: outputs[record.run_id], RECIPES)
        assert next(result for result in results if result.claim == claim).state in state


def test_the_title_of_own_images_is_the_name_of_their_folder():
    record = of_accuracy(84.0, **OWN)
    assert record.data_title == "my_leaves (own images)"
    assert of_accuracy(84.0, data="synthetic_birds").data_title == "synthetic birds"
    assert "on my_leaves (own images) (paper, seed 0" in run_label(record)
    assert data_origin([record]).text == "Measured on my_leaves (5,994 + 5,794 images of 200 classes; own images)."

import numpy as np
import pytest
from made_records import RECIPES, Kept, deviation, made, of_right
from recompressed_runs import KEY, run_at, settings_at

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.claims import check_claims
from fgbench.judge.run_choice import best_runs
from fgbench.judge.run_pairs import ClaimState
from fgbench.judge.verdict import judge
from fgbench.papers.printed import Claim, load_papers
from fgbench.records.deviations import setting_deviations
from fgbench.records.recompression import plain_settings, quality_of
from fgbench.records.record import by_identity
from fgbench.runs.changed_settings import with_changes
from fgbench.runs.run import Changes

CELL = next(cell for cell in load_papers()["bcnn"].cells() if cell.id == "t1/bcnn_dd/birds")
RIGHT = np.arange(200) % 4 > 0


def test_the_quality_is_read_from_both_pipelines():
    plain, low = made(values={}, settings=settings_at()), made(values={}, settings=settings_at(30))
    assert (quality_of(plain), quality_of(low)) == (None, 30)
    assert plain_settings(low) == plain_settings(plain) == plain.settings


@pytest.mark.parametrize("name", ["train_pipeline", "test_pipeline"])
def test_one_recompressed_split_is_not_a_recompressed_run(name):
    settings = settings_at() | {name: settings_at(30)[name]}
    half = made(values={}, settings=settings)
    assert quality_of(half) is None
    assert plain_settings(half) == settings


def test_a_recompressed_run_of_every_recipe_is_another_experiment():
    for key, recipe in RECIPES.items():
        settings = with_changes(recipe.settings, Changes(recompress=95), key)
        deviations = {d.field for d in setting_deviations(recipe, settings) if d.changes_experiment}
        assert deviations == {"train_pipeline", "test_pipeline"}, key


def test_recompressed_runs_are_not_averaged_with_plain_ones():
    records = [run_at(RIGHT, quality, seed)[0] for quality in (None, 75, 30) for seed in (0, 1)]
    assert [{quality_of(record) for record in group} for group in by_identity(records)] == [{None}, {75}, {30}]


@pytest.mark.parametrize("changed", [[], ["test_pipeline"], ["train_pipeline", "test_pipeline"]])
def test_the_plain_run_is_closest_even_if_it_differs_in_as_many_fields_and_has_fewer_seeds(changed):
    fields = {"profile": "frozen", "deviations": [deviation(name) for name in changed]}
    plain, _ = run_at(RIGHT, provenance={"finished": "2026-01-01"}, **fields)
    others = [run_at(RIGHT, 30, seed, provenance={"finished": "2026-01-02"}, profile="frozen")[0] for seed in (0, 1, 2)]
    assert best_runs([*others, plain]) == (plain,)
    verdict = judge(CELL, [*others, plain], {}, RECIPES)
    assert verdict.records == (plain,)
    assert not [anomaly for anomaly in verdict.anomalies if anomaly.kind == "unused runs"]


def test_a_claim_is_not_tested_with_recompressed_runs():
    other = "bcnn/fv_cnn_d@cub"
    claim = Claim(id="c", text="x", source="x", metric="accuracy", data="cub", order=("bcnn/bcnn_dd", "bcnn/fv_cnn_d"))
    paper = load_papers()["bcnn"].model_copy(update={"claims": (claim,)})
    pairs = [run_at(RIGHT, 30, profile="frozen"), of_right(~RIGHT, other, profile="frozen")]
    (result,) = check_claims({"bcnn": paper}, [record for record, _ in pairs], Kept(*pairs), RECIPES)
    assert result.state == ClaimState.NOT_RUN
    assert "bcnn/bcnn_dd" in result.text


def test_a_compression_that_changes_no_prediction_is_no_anomaly():
    pairs = [run_at(RIGHT), run_at(RIGHT, 75), run_at(RIGHT, 50)]
    assert find_anomalies([record for record, _ in pairs], Kept(*pairs)) == {}
    pairs.append(run_at(RIGHT, recipe=KEY, changes={"options": {"other": 1}}))
    found = find_anomalies([record for record, _ in pairs], Kept(*pairs))
    assert all(anomaly.kind == "identical" for anomalies in found.values() for anomaly in anomalies)
    assert len(found) == 4

"""A run without training answers for a recipe whose settings are equal to its own."""

import pytest
from made_records import RECIPES, deviation, of_accuracy

from fgbench.judge.columns import judge_papers
from fgbench.judge.equal_settings import with_equal_runs
from fgbench.judge.verdict import Outcome
from fgbench.papers.printed import load_papers
from fgbench.records.external import External
from fgbench.records.record import Deviation
from fgbench.util.hashing import hash_value

STAGES = Deviation(
    field="stages", recipe="classifier, finetune", run="none", origin="code", changes_experiment=True
)  # fmt: skip
IMAGES = deviation("data.images", changes=False, run="recompressed").model_copy(update={"origin": "data"})


def frozen(key="bcnn/bcnn_dd@cub", value=80.1, *others, **settings):
    """Return a run of a recipe under `frozen`, as an earlier version of fgbench made it."""
    plain = RECIPES[key].resolve("frozen").model_copy(update=settings)
    return of_accuracy(
        value, recipe=key, profile="frozen", settings=plain.model_dump(mode="json"), deviations=[STAGES, *others]
    )


def verdict(record, cell):
    verdicts = judge_papers({"bcnn": load_papers()["bcnn"]}, [record], {}, RECIPES)["bcnn"]
    return next(v for v in verdicts if v.cell.id == cell)


@pytest.mark.parametrize(
    ("key", "cell"),
    [
        ("bcnn/bcnn_dd@cub", "t1/bcnn_dd/birds_no_ft"),
        ("bcnn/bcnn_mm_box@cub", "t1/bcnn_mm/birds_box_no_ft"),
        ("bcnn/fv_cnn_d@cub", "t1/fv_cnn_d/birds_no_ft"),  # its training pipeline has another size
        ("bcnn/fc_cnn_m@cub", "t1/fc_cnn_m/birds_no_ft"),
    ],
)
def test_a_run_under_frozen_answers_the_cell_without_fine_tuning(key, cell):
    found = verdict(frozen(key, 70.0), cell)
    assert found.mean == 70.0
    assert found.records[0].title == RECIPES[f"{found.cell.recipe}@{found.cell.data}"].title
    remark = next(d for d in found.deviations if d.field == "recipe")
    assert remark.run == f"{key.partition('@')[0]} under frozen, whose settings are equal"
    assert not remark.changes_experiment
    tuned = verdict(frozen(key, 70.0), cell.removesuffix("_no_ft"))
    assert tuned.outcome == Outcome.NOT_COMPARABLE


def test_deviations_of_the_data_stay():
    found = verdict(frozen("bcnn/bcnn_dd@cub", 78.0, IMAGES), "t1/bcnn_dd/birds_no_ft")
    assert found.outcome == Outcome.INCONCLUSIVE
    assert [d.field for d in found.deviations] == ["data.images", "recipe"]


@pytest.mark.parametrize("field", ["weights.0", "control", "data.counts.train", "unverified"])
def test_deviations_of_other_things_than_settings_stay(field):
    listed = deviation(field)
    (copy,) = [r for r in with_equal_runs([frozen("bcnn/bcnn_dd@cub", 78.0, listed)], RECIPES) if r.profile == "paper"]
    assert listed in copy.deviations


def test_predictions_from_outside_answer_for_their_own_recipe_alone():
    outside = {"what": "predictions", "name": "a", "file": "a.csv", "sha256": "0" * 64, "result": "a"}
    record = frozen().model_copy(update={"profile": "external", "external": External.model_validate(outside)})
    assert with_equal_runs([record], RECIPES) == [record]


def test_the_annotations_that_a_run_sees_count_also_after_a_run_with_equal_settings():
    boxes = {"train_sees": ["boxes"], "test_sees": ["boxes"]}
    first, second = frozen(), frozen()
    protocol = second.protocol | boxes
    second = second.model_copy(update={"protocol": protocol, "protocol_hash": hash_value(protocol)})
    other = frozen().model_copy(update={"method": "fc_cnn"})
    copies = [r for r in with_equal_runs([first, second, other], RECIPES) if r.profile == "paper"]
    assert len(copies) == 1


def test_a_record_that_lacks_a_setting_with_a_default_is_read():
    record = frozen()
    settings = {name: value for name, value in record.settings.items() if name != "precision"}
    copies = with_equal_runs([record.model_copy(update={"settings": settings})], RECIPES)
    assert len(copies) == 2


def test_rounding_is_a_setting_that_stays():
    record = frozen(precision="bf16-mixed")
    (copy,) = [r for r in with_equal_runs([record], RECIPES) if r.recipe == "bcnn/bcnn_dd_no_ft@cub"]
    assert copy.settings["precision"] == "bf16-mixed"


@pytest.mark.parametrize(
    "record",
    [
        frozen(mirror=False),
        frozen(backbones=("vggm:relu5", "vggm:relu5")),
        frozen(test_pipeline="resize(448, bilinear)"),
        frozen(test_pipeline=f"recompress(50) | {RECIPES['bcnn/bcnn_dd@cub'].settings.test_pipeline}"),
        of_accuracy(84.0),
    ],
    ids=["other setting", "other networks", "other pipeline", "recompressed", "trained"],
)
def test_other_experiments_answer_for_no_other_recipe(record):
    answers = {r.recipe for r in with_equal_runs([record], RECIPES)}
    assert "bcnn/bcnn_dd_no_ft@cub" not in answers


def test_the_records_themselves_are_unchanged():
    record = frozen()
    first, *copies = with_equal_runs([record], RECIPES)
    assert first is record
    assert {copy.profile for copy in copies} == {"paper"}
    assert {copy.run_id for copy in copies} == {record.run_id}

"""`--data imagefolder:PATH`: choice of recipes, plans, ids, and records of folders that have moved or are gone."""

import json
import shutil

import pytest
from command_line import answer_of, run
from own_folders import draw, fill

import fgbench
from fgbench.cli.chosen_recipes import choose_recipes
from fgbench.cli.options import ExecutionOptions
from fgbench.cli.run_requests import Request, choose_profile, plan_request
from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.runs.run import Changes


@pytest.fixture
def root(tmp_path):
    return fill(tmp_path / "leaves")


def planned(root, *recipes, changes=None, profile="quick", seeds=None):
    """Return the plan of a request and what it says."""
    lines = []
    execution = ExecutionOptions(profile=profile, seeds=seeds)
    request = Request.of(f"imagefolder:{root}", execution, recipes, changes or Changes())
    plan = plan_request(request, choose_profile(profile, request.data, has_gpu=False), has_gpu=False, say=lines.append)
    return plan, "\n".join(lines)


def test_the_recipe_of_cub_is_taken_and_the_record_says_that_the_data_are_own_images(root):
    plan, text = planned(root, "bcnn/bcnn_dd", "tasn/tasn_r50", "where_to_focus/spatial_lstm_dm", profile="auto")
    assert [run.recipe.key for run in plan.runs] == [
        "bcnn/bcnn_dd@cub", "tasn/tasn_r50@cub", "where_to_focus/spatial_lstm_dm@cub"
    ]  # fmt: skip
    first = plan.runs[0]
    assert first.settings.backbones == ("tiny_d:conv", "tiny_d:conv")
    assert first.settings.test_pipeline == "resize_short(96, bilinear) | center_crop(96)"
    assert next(d for d in first.deviations if d.field == "data").model_dump() == {
        "field": "data", "recipe": "cub", "run": "the user's own images in leaves", "origin": "data",
        "changes_experiment": True,
    }  # fmt: skip
    fields = first.record_fields()
    assert (fields["data"], fields["settings"]["data"], fields["protocol"]["data"], fields["synthetic"]) == (
        "imagefolder:leaves", "imagefolder", "imagefolder", False
    )  # fmt: skip
    assert str(root) not in json.dumps(fields)
    assert "synthetic" not in text
    assert "own images: 10 for training and 6 for test, of 3 classes; they answer no printed number" in text


def test_every_recipe_that_needs_only_images_and_classes_is_planned(root):
    plan, _ = planned(root)
    names = {run.recipe.name for run in plan.runs}
    usable = {
        recipe.name
        for recipe in load_recipes().values()
        if recipe.settings.data == "cub" and not (recipe.train or recipe.test or recipe.variant or recipe.only_paper)
    }
    assert names == usable
    assert {"bcnn/bcnn_dd", "bcnn/fv_sift", "tasn/tasn_r50", "keypoint_fcn/fc7"} <= names
    variant = next(recipe.name for recipe in load_recipes().values() if recipe.variant)
    assert [recipe.name for recipe in choose_recipes(f"imagefolder:{root}", [variant])] == [variant]
    of_keypoints = choose_recipes(f"imagefolder:{root}", ["keypoint_fcn", "*/fc7"])
    assert [recipe.name for recipe in of_keypoints] == ["keypoint_fcn/fc7", "keypoint_fcn/fc7_ft"]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("bcnn/bcnn_dd_box", "bcnn/bcnn_dd_box needs boxes of the objects, which a folder of images does not have"),
        ("keypoint_fcn/localizer", "keypoint_fcn/localizer needs keypoints of the parts"),
        ("where_to_focus/bcnn_dm", "where_to_focus/bcnn_dm needs identities of persons"),
        ("bcnn/bcn_dd", "no recipe 'bcnn/bcn_dd' for imagefolder:"),
    ],
)
def test_a_recipe_that_needs_more_is_refused_with_those_that_work(recipe, message, root):
    code, text = run("run", recipe, "--data", f"imagefolder:{root}")
    assert code == 1
    assert message in text
    assert ("recipes that need only images and classes: bcnn/fv_sift, " in text) == ("needs" in message)


def test_the_id_depends_on_the_content_and_not_on_the_path(root, tmp_path):
    def run_id(folder, **changes):
        (run,) = planned(folder, "bcnn/bcnn_dd", changes=Changes(**changes))[0].runs
        return run.id

    first = run_id(root)
    copy = shutil.copytree(root, tmp_path / "other name/of it")
    assert run_id(f"{copy}/") == run_id(copy) == first
    assert len({first, run_id(root, classes=2), run_id(root, size=64), run_id(root, shuffle_labels=True)}) == 4
    draw(copy / "test/ash/0.png", number=99)
    assert run_id(copy) != first
    (root / "train/ash").rename(root / "train/birch")
    (root / "test/ash").rename(root / "test/birch")
    assert run_id(root) != first


def test_fewer_classes_are_a_deviation_and_need_test_images(root):
    plan, _ = planned(root, "bcnn/bcnn_dd", changes=Changes(classes=2), seeds="2")
    assert [run.seed for run in plan.runs] == [0, 1]
    assert {d.field: d.run for d in plan.runs[0].deviations}["data.classes"] == "the first 2"
    assert plan.runs[0].protocol.train_images == 7
    shutil.rmtree(root / "test/ash")
    shutil.rmtree(root / "test/fern, blue")
    code, text = run("run", "bcnn/bcnn_dd", "--data", f"imagefolder:{root}", "--classes", "2")
    assert (code, "the first 2 classes of imagefolder:" in text, "have no test image" in text) == (1, True, True)


def test_a_test_image_that_is_also_a_training_image_is_told_and_recorded(root):
    shutil.copy(root / "train/ash/0.png", root / "test/ash/copy.png")
    plan, text = planned(root, "bcnn/bcnn_dd")
    assert "warning: 1 of 7 test images are also training images, so that the accuracy is too high" in text
    assert f"fgbench data check imagefolder:{root}" in text
    deviation = next(d for d in plan.runs[0].deviations if d.field == "data.leak")
    assert (deviation.run, deviation.changes_experiment) == ("1 of 7 test images are", True)


def test_missing_weights_block_a_run_and_its_cost_is_estimated_for_the_own_images(root, tmp_path):
    options = ("--profile", "frozen", "--results", str(tmp_path / "r"), "--dry-run", "--gpu", "h100", "--json")
    code, answer = answer_of("run", "bcnn/bcnn_dd", "--data", f"imagefolder:{root}", *options)
    assert code == 0
    (blocked,) = answer["blocked"]
    assert blocked["command"] == "fgbench weights get vgg16.matconvnet"
    assert blocked["expected"]["wall_s"] > 0


def test_a_folder_in_place_of_a_data_set_is_suggested(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    root.rename("my leaves")
    code, text = run("run", "bcnn/bcnn_dd", "--data", "my leaves")
    assert (code, "for images of your own: 'imagefolder:my leaves'" in text) == (1, True)


def test_records_and_reports_stay_when_the_folder_has_moved_or_is_gone(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    command = ("run", "bcnn/fc_cnn_d", "--profile", "quick", "--watch-test", "--data")
    code, text = run(*command, "imagefolder:leaves")
    assert (code, "1 run done" in text) == (0, True), text
    root.rename(tmp_path / "old leaves")
    assert "0 runs done, 1 kept from before" in run(*command, "imagefolder:old leaves/")[1]
    shutil.rmtree(tmp_path / "old leaves")
    code, text = run(*command, "imagefolder:old leaves")
    assert (code, "old leaves does not exist" in text) == (1, True)

    assert run("verify")[0] == 0
    assert run("report")[0] == 0
    pages = {page.name: page.read_text(encoding="utf-8") for page in (tmp_path / "runs/report").glob("*.html")}
    caption = "leaves (own images), 10 training and 6 test images of 3 classes"
    assert all(caption in pages[name] for name in ("index.html", "method-fc_cnn.html"))
    assert "Measured on leaves (10 + 6 images of 3 classes; own images)." in pages["index.html"]
    (record,) = Store(tmp_path / "runs/records").records()
    assert set(record.values) >= {"accuracy", "watched/last_epoch"}
    assert record.values["accuracy"].n == 6
    assert set(fgbench.load("runs").data) == {"imagefolder:leaves"}
    # The cells of the recipe on CUB have no run.
    verdicts = fgbench.verdicts("runs")
    cells = verdicts[(verdicts.recipe == "bcnn/fc_cnn_d") & (verdicts.data == "cub")]
    assert len(cells)
    assert cells.measured.isna().all()

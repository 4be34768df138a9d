"""Changes of a run in words."""

import pytest
from made_records import RECIPES, untrained

from fgbench.judge.change_words import change_words, changes_in_words
from fgbench.records.deviations import setting_deviations
from fgbench.records.record import Deviation
from fgbench.runs.changed_settings import with_changes
from fgbench.runs.run import Changes

KEY = "bcnn/bcnn_dd@cub"
RECIPE = RECIPES[KEY]
PIPELINE = "resize_short(448) | center_crop(448) | flip"
NEW = "changed_by_a_newer_version(3) | center_crop(448)"


def change(field, planned, run, *, changes=True, origin="code"):
    return Deviation(field=field, recipe=planned, run=run, origin=origin, changes_experiment=changes)


@pytest.mark.parametrize(
    ("field", "planned", "run", "words"),
    [
        ("stages", "finetune", "none: the network is not fine-tuned", "not fine-tuned"),
        ("control", "none", "shuffled training labels", "shuffled training labels"),
        ("weights.0", "vgg16.matconvnet", "vgg16.torchvision for vgg16:conv5_3", "with other weights"),
        ("weights", ["vgg16.matconvnet"], [], "with other weights"),
        ("backbones", ["vgg16:conv5_3", "vggm:conv5"], ["resnet50:layer4"], "on resnet50"),
        ("backbones", ["vgg16:conv5_3"], ["vgg16:conv4_3"], "on conv4_3 of VGG-16"),
        ("backbones", ["vgg16:conv5_3"], ["resnet18:layer4", "vggm:conv5"], "on resnet18 and VGG-M"),
        ("backbones", ["vgg16:conv5_3", "vggm:conv5"], ["vggm:conv5"], "without conv5_3 of VGG-16"),
        ("backbones", ["vgg16:conv5_3", "vggm:conv5"], ["vggm:conv5", "vgg16:conv5_3"],
         "on conv5 of VGG-M and conv5_3 of VGG-16"),
        ("test_pipeline", PIPELINE, "resize_short(224) | center_crop(224)", "images of 224 px instead of 448 px"),
        ("train_pipeline", PIPELINE, f"recompress(75) | {PIPELINE}", "images compressed once more"),
        ("test_pipeline", PIPELINE, "resize(448)", "other steps before the network"),
        ("test_pipeline", NEW, PIPELINE, "other steps before the network"),
        ("test_pipeline", PIPELINE, NEW, "other steps before the network"),
        ("data", "cub", "synthetic_birds", "on synthetic_birds"),
        ("data", "cub", "the user's own images in pets", "on the user's own images in pets"),
        ("data.classes", 200, "the first 20", "on the first 20 of 200 classes"),
        ("data.limit", "all images", "600 training and 400 test images", "on 600 training and 400 test images"),
        ("data.leak", "no test image is one", "3 of 9 test images are", "with training images in the test"),
        ("data.annotations.boxes", "the official file", "another", "with other annotations"),
        ("data.annotations", "the official ones", "others", "with other annotations"),
        ("data.counts.images", 11788, 11787, "on another number of images"),
        ("stages.finetune.epochs", 45, 3, "stage finetune trained for 3 epochs instead of 45"),
        ("stages.finetune.epochs", 45, 1, "stage finetune trained for 1 epoch instead of 45"),
        ("mirror", True, False, "mirror is off instead of on"),
        ("backbones", ["a:conv"], ["tiny_d:conv", "tiny_d:pool"], "on the small network D"),
        ("stages.finetune.lr", 0.001, 0.1, "stages.finetune.lr is 0.1 instead of 0.001"),
        ("stages.head.epochs", None, 5, "stages.head.epochs is 5"),
        ("stages.head.epochs", 5, None, "without stages.head.epochs"),
        ("options.dropout", 0.5, None, "without options.dropout"),
    ],
)  # fmt: skip
def test_each_kind_of_change_has_its_words(field, planned, run, words):
    assert change_words(change(field, planned, run)) == words


def test_the_most_important_changes_are_first_and_others_keep_their_order():
    changes = [
        change("options.a", 1, 2), change("backbones", ["a:x"], ["b:x"]), change("stages", "finetune", "none"),
        change("options.b", 1, 2), change("data.classes", 200, "the first 20"), change("control", "none", "shuffled"),
    ]  # fmt: skip
    assert changes_in_words(changes) == [
        "shuffled", "on the first 20 of 200 classes", "not fine-tuned", "on b", "options.a is 2 instead of 1",
        "options.b is 2 instead of 1",
    ]  # fmt: skip


def test_changes_that_keep_the_experiment_have_no_words():
    assert changes_in_words([change("precision", "float32", "bfloat16", changes=False)]) == []


def test_other_weights_are_named_only_if_they_are_the_only_change():
    weights = [change("weights.0", "a", "b"), change("weights.1", "a", "c")]
    assert changes_in_words(weights) == ["with other weights"]
    assert changes_in_words([*weights, change("backbones", ["a:x"], ["b:x"])]) == ["on b"]


def test_both_pipelines_are_one_change():
    settings = with_changes(RECIPE.settings, Changes(recompress=75), KEY)
    assert changes_in_words(setting_deviations(RECIPE, settings), RECIPE) == ["images compressed once more"]


def test_a_network_that_is_not_fine_tuned_has_the_epochs_of_the_last_stage_of_its_recipe():
    settings = RECIPE.settings.model_copy(update={"stages": {}})
    deviations = setting_deviations(RECIPE, settings)
    epochs = max(RECIPE.settings.stages.values(), key=lambda stage: stage.step).epochs
    words = f"not fine-tuned (the recipe fine-tunes for {epochs} epochs)"
    assert changes_in_words(deviations, RECIPE) == [words]
    assert changes_in_words(deviations) == ["not fine-tuned"]
    # A recipe that was changed since, and has no stage now.
    assert changes_in_words(deviations, untrained(KEY)) == ["not fine-tuned"]


def test_every_planned_change_of_every_recipe_has_words_without_an_error():
    for key, recipe in RECIPES.items():
        for changes in (Changes(recompress=50), Changes(limit=4)):
            settings = with_changes(recipe.settings, changes, key)
            assert all(changes_in_words(setting_deviations(recipe, settings), recipe)), key

"""Networks, weight files and options of a recipe and of the recipe from whose trained network it starts."""

from dataclasses import replace
from pathlib import Path

import mini
import pytest

from fgbench.judge.change_words import change_words
from fgbench.papers.recipes import PROFILES, load_recipes
from fgbench.records.record import STARTING_WEIGHTS
from fgbench.runs import planning
from fgbench.runs.changed_settings import changed_settings
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes, Run
from fgbench.runs.shared_start import start_deviations
from fgbench.runs.streams import StreamWeights
from fgbench.util.errors import FgbenchError

ORIGINAL, OTHER = ("vgg16.matconvnet", True), ("vgg16.torchvision", False)


def stream(name, weights, official=True):
    file, original = weights
    return StreamWeights(name, file, f"hash of {file}", Path(file), official, original)


def planned(child_streams, parent_streams, *, options=None, key="keypoint_fcn/fc7_model@cub"):
    """Return the deviations of a recipe that loads these weights and starts from a run with those weights."""
    recipe = load_recipes()[key]
    assert recipe.start is not None
    start = recipe.start.settings.model_copy(update={"options": {**recipe.start.settings.options, **(options or {})}})
    parent = Run(recipe.start, "paper", 0, start, None, parent_streams, "cpu", ())
    return start_deviations(recipe, recipe.settings, child_streams, parent)


def fc7_streams(weights):
    return tuple(stream(f"vgg16:fcn7_same#{label}", weights) for label in ("where", "what"))


def test_equal_weight_files_are_no_deviation_though_the_recipes_prefer_others():
    recipe = load_recipes()["keypoint_fcn/fc7_model@cub"]
    assert recipe.settings.weights != recipe.start.settings.weights
    for weights in (ORIGINAL, OTHER):
        assert planned(fc7_streams(weights), (stream("vgg16:fcn7_same", weights),)) == ()


@pytest.mark.parametrize(("here", "there"), [(ORIGINAL, OTHER), (OTHER, ORIGINAL)])
def test_other_weights_of_the_run_before_are_a_deviation(here, there):
    (deviation,) = planned(fc7_streams(here), (stream("vgg16:fcn7_same", there),))
    assert deviation.field == STARTING_WEIGHTS
    assert (deviation.recipe, deviation.run) == (here[0], f"{there[0]} for vgg16:fcn7_same")
    assert deviation.changes_experiment == (there is OTHER)
    assert change_words(deviation) == f"{STARTING_WEIGHTS} is {there[0]} for vgg16:fcn7_same instead of {here[0]}"


def test_the_stream_at_the_same_layer_counts():
    """The localisation network is that of `#where`; the file of another stream does not excuse it."""
    before = (stream("vgg16:fcn7_same", OTHER),)
    streams = (stream("vgg16:fcn7_same#where", ORIGINAL), stream("vgg16:relu5_3#what", OTHER))
    assert planned(streams, before, key="keypoint_fcn/compact_bilinear@cub")
    assert not planned(tuple(reversed(streams)), (stream("vgg16:fcn7_same", ORIGINAL),))
    # No stream at the same layer: FV-CNN cuts the network of FC-CNN earlier.
    relu = (stream("vgg16:relu5_3", ORIGINAL),)
    assert planned(relu, (stream("vgg16:relu7", OTHER),), key="bcnn/fv_cnn_d@cub")
    assert not planned(relu, (stream("vgg16:relu7", ORIGINAL),), key="bcnn/fv_cnn_d@cub")


def test_another_network_is_refused():
    with pytest.raises(FgbenchError) as caught:
        planned(fc7_streams(ORIGINAL), (stream("vgg19:relu7", ORIGINAL),))
    assert caught.value.args[0] == (
        "keypoint_fcn/fc7_model@cub starts from keypoint_fcn/localizer@cub, but under paper it has the networks vgg16, "
        "not vgg19"
    )
    assert caught.value.hint


def test_an_option_that_the_other_recipe_sets_must_be_equal():
    streams = fc7_streams(ORIGINAL), (stream("vgg16:fcn7_same", ORIGINAL),)
    with pytest.raises(FgbenchError, match=r"its options.visible is 0.1, not 0.4") as caught:
        planned(*streams, options={"visible": 0.4})
    assert caught.value.hint
    # FV-CNN has no option of the softmax layer of FC-CNN.
    relu = (stream("vgg16:relu5_3", ORIGINAL),), (stream("vgg16:relu7", ORIGINAL),)
    assert planned(*relu, options={"classifier_std": 3.0}, key="bcnn/fv_cnn_d@cub") == ()


def test_every_recipe_of_the_repository_has_the_networks_and_options_of_its_start():
    for recipe in load_recipes().values():
        for profile in PROFILES:
            if not recipe.start or not (profile == "paper" or recipe.profiles.get(profile)):
                continue
            settings, before = (changed_settings(r, profile, Changes()) for r in (recipe, recipe.start))
            if settings.starts_from and before.stages:
                here, there = (tuple(stream(name, ORIGINAL) for name in s.backbones) for s in (settings, before))
                parent = Run(recipe.start, profile, 0, before, None, there, "cpu", ())
                assert start_deviations(recipe, settings, here, parent) == ()


def test_watching_a_run_that_trains_nothing_names_the_run_that_does():
    with pytest.raises(FgbenchError) as caught:
        plan([mini.recipe("fv_cnn_d", starts=True)], "quick", [0], changes=Changes(watch_test=True))
    assert caught.value.args[0] == (
        "bcnn/fv_cnn_d@cub starts from the network of bcnn/fc_cnn_d@cub and trains no stage itself, so it has no epochs"
    )
    assert caught.value.hint == (
        "fgbench run bcnn/fc_cnn_d --data cub --profile quick --watch-test, or leave out --watch-test"
    )
    assert plan([mini.recipe("fc_cnn_d")], "quick", [0], changes=Changes(watch_test=True)).runs


def test_watching_a_run_without_stages_says_that_it_trains_none():
    recipe = mini.recipe("fc_cnn_d")
    last = recipe.profiles["quick"][-1].model_copy(update={"set": {"stages": {}}})
    alone = recipe.model_copy(update={"profiles": {"quick": (*recipe.profiles["quick"], last)}})
    with pytest.raises(FgbenchError, match="trains no network under quick, so it has no epochs") as caught:
        plan([alone], "quick", [0], changes=Changes(watch_test=True))
    assert caught.value.hint == "leave out --watch-test"


def test_planning_records_the_deviation_and_refuses_options(monkeypatch):
    recipe = mini.recipe("fv_cnn_d", starts=True)
    (run,) = plan([recipe], "quick", [0]).runs
    assert STARTING_WEIGHTS not in {deviation.field for deviation in run.deviations}
    resolve = planning._streams

    def streams(settings):
        of_start = settings.stages and settings.starts_from == ""
        return tuple(replace(s, sha256="other", name="other") if of_start else s for s in resolve(settings))

    monkeypatch.setattr(planning, "_streams", streams)
    (run,) = plan([recipe], "quick", [0]).runs
    (deviation,) = (deviation for deviation in run.deviations if deviation.field == STARTING_WEIGHTS)
    assert deviation.run.startswith("other for ")

"""Runs whose first blocks are not trained: `--set fixed_blocks=N`."""

from dataclasses import replace

import mini
import numpy as np
import pytest
from safetensors.torch import load_file

from fgbench.backbones import load_backbone
from fgbench.backbones.fixed_blocks import split_blocks
from fgbench.judge.change_words import change_words
from fgbench.papers.recipes import load_recipes
from fgbench.papers.starts import check_shared_stages
from fgbench.records.kept_networks import network_path
from fgbench.records.store import Store
from fgbench.runs import built_method
from fgbench.runs.frozen_networks import check_fixed_blocks, sees_few_images
from fgbench.runs.run import Changes
from fgbench.runs.streams import maps_folder
from fgbench.util.errors import FgbenchError

ONE = Changes(set_values=("fixed_blocks=1",), epochs=2)


def pretrained():
    return load_backbone("tiny_d", "conv")


def test_the_first_block_keeps_its_weights_and_the_others_are_trained(tmp_path):
    run = replace(mini.run_of("bcnn_dd", changes=ONE), keep_network=True)
    record = mini.do(run, tmp_path)
    trained = load_file(network_path(tmp_path, record.network_sha256))
    before = pretrained()
    fixed = {id(p) for p in split_blocks(before.layers, 1, "tiny_d")[0].parameters()}
    assert fixed
    for name, parameter in before.named_parameters():
        (key,) = [key for key in trained if key.endswith(f"streams.0.{name}")]
        assert np.array_equal(trained[key].numpy(), parameter.detach().numpy()) == (id(parameter) in fixed), name
    (deviation,) = [d for d in record.deviations if d.field == "fixed_blocks"]
    assert (deviation.recipe, deviation.run, deviation.changes_experiment) == (0, 1, True)
    assert change_words(deviation) == "the first 1 block of the network not fine-tuned"
    assert run.id != mini.run_of("bcnn_dd", changes=Changes(epochs=2)).id


def test_cached_maps_of_fixed_blocks_give_the_same_scores(tmp_path, monkeypatch):
    run = mini.run_of("bcnn_dd", changes=ONE)
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "no maps"))
    plain = mini.do(run, tmp_path / "plain")
    assert not (tmp_path / "no maps/maps").exists()
    monkeypatch.setattr(built_method, "SMALL_NETWORKS", ())  # small networks have no cache
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    cached = [mini.do(run, tmp_path / name) for name in ("first", "second")]
    scores = [
        Store(tmp_path / f"{name}/records").outputs(record)["scores"]
        for name, record in zip(("plain", "first", "second"), (plain, *cached), strict=True)
    ]
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], rtol=1e-4, atol=1e-5)
    folder = maps_folder(run.streams[0], bf16=False, blocks=1)
    assert folder.name.endswith("-1-blocks")
    assert len(list(folder.rglob("*.npz"))) == 2 * (160 + 80)  # with the mirror images
    assert [record.cost.recalled > 0 for record in (plain, *cached)] == [False, False, True]


@pytest.mark.parametrize(("random", "few"), [("", True), (" | flip", True), (" | rotate(10)", False)])
def test_maps_are_cached_only_if_images_are_at_most_mirrored(random, few):
    settings = mini.run_of("bcnn_dd", changes=ONE).settings
    changed = settings.model_copy(update={"train_pipeline": f"{mini.PIPELINE}{random}"})
    assert sees_few_images("bcnn", changed) == few
    assert not sees_few_images("bcnn", settings.model_copy(update={"fixed_blocks": 0}))
    # These methods show their networks crops or samples, which differ in each step.
    assert not sees_few_images("tasn", changed)
    assert not sees_few_images("part_nets", changed)


def test_too_many_blocks_are_refused_before_any_work():
    with pytest.raises(FgbenchError, match="fixed_blocks is 7, but tiny_d has 2 blocks") as caught:
        mini.run_of("bcnn_dd", changes=Changes(set_values=("fixed_blocks=7",)))
    assert caught.value.hint == "--set fixed_blocks=2"


@pytest.mark.parametrize(("key", "profile"), [("bcnn/fv_sift@cub", "paper"), ("bcnn/bcnn_dd@cub", "frozen")])
def test_fixed_blocks_without_effect_are_refused(key, profile):
    recipe = load_recipes()[key]
    settings = recipe.resolve(profile).model_copy(update={"fixed_blocks": 1})
    with pytest.raises(FgbenchError, match="trains no network, so that fixed_blocks has no effect"):
        check_fixed_blocks(key, recipe.method, settings)


def test_a_recipe_and_the_one_that_it_starts_from_have_the_same_fixed_blocks():
    own = load_recipes()["bcnn/fv_cnn_d@cub"].settings
    other = own.model_copy(update={"fixed_blocks": 4})
    with pytest.raises(FgbenchError, match="its fixed_blocks is 0, not 4"):
        check_shared_stages("a", own, "b", other, "paper")

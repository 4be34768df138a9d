"""Runs whose first blocks are not trained: `--set fixed_blocks=N`."""

from dataclasses import replace

import mini
import numpy as np
import pytest
from safetensors.torch import load_file

from fgbench.backbones import load_backbone
from fgbench.backbones.fixed_blocks import split_blocks
from fgbench.judge.change_words import change_words
from fgbench.records.kept_networks import network_path
from fgbench.records.store import Store
from fgbench.runs import built_method
from fgbench.runs.frozen_networks import sees_few_images
from fgbench.runs.run import Changes
from fgbench.runs.streams import StreamWeights, maps_folder
from fgbench.runs.training.tiny_weights import pretrained_tiny
from fgbench.util.errors import FgbenchError

ONE = Changes(set_values=("fixed_blocks=1",), epochs=2)


def pretrained():
    return load_backbone("tiny_d", "conv", weights=pretrained_tiny("tiny_d"))


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
    plain = mini.do(run, tmp_path / "plain")
    # The small networks have no cache, because they are trained here.
    monkeypatch.setattr(StreamWeights, "trained_here", property(lambda self: False))
    monkeypatch.setattr(built_method, "load_stream", lambda stream: pretrained())
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
    assert sees_few_images(settings.model_copy(update={"train_pipeline": f"{mini.PIPELINE}{random}"})) == few
    assert not sees_few_images(settings.model_copy(update={"fixed_blocks": 0}))


def test_too_many_blocks_are_named_with_what_is_possible(tmp_path):
    run = mini.run_of("bcnn_dd", changes=Changes(set_values=("fixed_blocks=7",), epochs=1))
    with pytest.raises(FgbenchError, match="fixed_blocks is 7, but tiny_d has 2 blocks"):
        mini.do(run, tmp_path)

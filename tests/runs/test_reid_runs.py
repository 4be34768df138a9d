"""Runs of person search, from the recipe to the verdict."""

import shutil

import mini
import mini_reid
import numpy as np
import pytest
import torch
from mini_reid import persons, random_values, recipe, runs_of
from stored_records import edit

from fgbench.datasets import reid_datasets
from fgbench.datasets.pipeline import Pipeline
from fgbench.judge.verdict import Outcome, judge
from fgbench.methods.base import Outputs
from fgbench.metrics.person_search import chosen_splits
from fgbench.metrics.search_rules import SearchRules
from fgbench.metrics.values import headline, measure
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import by_identity
from fgbench.records.store import Store
from fgbench.runs.experiment import experiment
from fgbench.runs.prediction import mean_with_mirror
from fgbench.util.errors import FgbenchError

CELLS = {cell.id: cell for cell in load_papers()["where_to_focus"].cells()}
HEAD = {"classifier": mini_reid.STAGES["classifier"]}
RULES = SearchRules(metric="euclidean")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reid")


@pytest.fixture(scope="module")
def trained(folder):
    return mini.do(runs_of(recipe())[0], folder)


def test_record_of_a_person_search_verifies(trained, folder):
    store = Store(folder / "records")
    assert store.verify(trained) == []
    assert {"cmc@1", "cmc@5", "cmc@10", "cmc@20", "map/step", "map/trapezoid", "minp"} <= set(trained.values)
    arrays = store.outputs(trained)
    index = persons()
    split = index.splits[0]
    assert np.array_equal(arrays["ids"], split.query)
    assert trained.values["cmc@1"].n == len(split.query) == len(arrays["relevant"])
    assert trained.values["map/step"].value > trained.values["map/trapezoid"].value
    assert trained.values["map/step"].low < trained.values["map/step"].value < trained.values["map/step"].high
    assert headline(trained.values) == "cmc@1"
    assert (trained.split, trained.synthetic, trained.protocol["classes"]) == ("official", True, 20)
    assert {"searches"} <= set(store.pictures(trained.run_id))


def test_verify_reports_changed_values_and_arrays(trained, folder, tmp_path):
    copy = Store(shutil.copytree(folder / "records", tmp_path / "records"))
    value = trained.values["map/step"].value + 0.01
    path = copy.folder / f"{trained.run_id}.json"
    edit(path, lambda fields: fields["values"]["map/step"].update(value=value), schema=1)
    assert [line.split(":")[0] for line in copy.verify(copy.read(trained.run_id))] == ["map/step"]
    arrays = copy.outputs(trained)
    arrays["first_rank"][0] += 1
    np.savez_compressed(copy.folder / trained.outputs, **arrays)
    assert "is not the file" in copy.verify(trained)[0]


def test_training_improves_rates_and_shuffled_identities_are_at_chance(trained, folder):
    (frozen,) = runs_of(recipe(stages={}))
    untrained = mini.do(frozen, folder)
    (control,) = runs_of(recipe(stages=HEAD), shuffle_labels=True)
    mixed = mini.do(control, folder)
    chance = random_values(persons(), RULES)
    for name in ("cmc@1", "map/step", "map/trapezoid"):
        at = chance[name].mean() + 3 * chance[name].std()
        assert trained.values[name].value > untrained.values[name].value + 5
        assert untrained.values[name].value > at
        assert mixed.values[name].value < at
    assert mixed.protocol["control"] == "shuffled identities, in training and test"
    assert mixed.protocol_hash != trained.protocol_hash
    assert "control" in {d.field for d in mixed.deviations}
    assert not mixed.comparable


def test_seeds_select_splits_and_their_mean_is_judged(tmp_path):
    made = recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 10})
    done = [mini.do(run, tmp_path) for run in runs_of(made, (0, 1, 2, 10))]
    assert [record.split for record in done] == ["1a, 1b", "2a, 2b", "3a, 3b", "1a, 1b"]
    assert len(by_identity(done)) == 1
    store = Store(tmp_path / "records")
    arrays = [store.outputs(record) for record in done]
    assert set(arrays[0]["split"]) == {"1a", "1b"}
    assert done[0].values["cmc@1"].n == 8
    assert sorted(arrays[0]["ids"]) != sorted(arrays[1]["ids"])
    assert sorted(arrays[0]["ids"]) == sorted(arrays[3]["ids"])
    cell = CELLS["t3/ours_dm/viper_r1"]
    records = [r.model_copy(update={"recipe": "where_to_focus/spatial_lstm_dm@viper"}) for r in done[:3]]
    verdict = judge(cell, records, {}, load_recipes())
    assert verdict.outcome == Outcome.NOT_COMPARABLE
    assert "synthetic" in verdict.reason
    assert verdict.mean == pytest.approx(np.mean([r.values["cmc@1"].value for r in records]))
    assert len(verdict.records) == 3
    assert verdict.spread is not None


def test_one_direction_of_a_split_and_an_error_for_too_few_splits():
    made = recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 10, "directions": "first"})
    (run,) = runs_of(made, (4,))
    index = reid_datasets["mini_viper"].index()
    assert [split.name for split in chosen_splits(index, run.settings.ranking, 4)] == ["5a"]
    (both,) = runs_of(recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 10}), (4,))
    assert run.protocol.hash != both.protocol.hash
    with pytest.raises(FgbenchError, match="mini_viper has 10 splits; split 11 does not exist"):
        runs_of(recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 11}))


def test_average_precision_of_a_cell_uses_the_trapezoid_rule(trained):
    relabelled = trained.model_copy(update={"recipe": "where_to_focus/spatial_lstm_dm@market1501"})
    recipes = load_recipes()
    verdict = judge(CELLS["t3/ours_dm/market_map"], [relabelled], {}, recipes)
    assert verdict.mean == trained.values["map/trapezoid"].value
    assert judge(CELLS["t3/ours_dm/market_r1"], [relabelled], {}, recipes).mean == trained.values["cmc@1"].value


def test_single_shot_gallery(tmp_path):
    made = recipe("spatial_lstm_dm", "cuhk03", stages={}, ranking={"gallery": "single_shot", "repeats": 4, "splits": 1})
    (run,) = runs_of(made)
    record = mini.do(run, tmp_path)
    store = Store(tmp_path / "records")
    assert store.verify(record) == []
    arrays = store.outputs(record)
    assert arrays["shot_rank"].shape == (len(arrays["ids"]), 4, 2)
    assert np.nanmax(arrays["shot_rank"]) <= 17  # 16 persons and the distractors
    assert "random galleries" in record.values["cmc@1"].definition
    assert record.values["cmc@20"].value == 100
    whole = {name: values for name, values in arrays.items() if name != "shot_rank"}
    assert measure(whole)["cmc@10"].value < record.values["cmc@10"].value
    assert measure(whole)["map/step"] == record.values["map/step"]
    assert dict(run.protocol.metrics)["cmc gallery"] == "the mean of 4 random galleries of one image an identity"


def test_every_search_rule_except_the_distance_is_in_the_protocol():
    (plain,) = runs_of(recipe(stages={}))
    others = {
        "same_camera": "keep", "gallery": "single_shot", "repeats": 3, "ties": "optimistic", "no_match": "zero",
    }  # fmt: skip
    for name, value in others.items():
        rules = {"gallery": "single_shot", name: value}
        base = runs_of(recipe(stages={}, ranking={"gallery": "single_shot"}))[0] if name == "repeats" else plain
        (other,) = runs_of(recipe(stages={}, ranking=rules if name == "repeats" else {name: value}))
        assert other.protocol.hash != base.protocol.hash, name
    (near,) = runs_of(recipe(stages={}, ranking={"metric": "euclidean"}))
    assert near.protocol.hash == plain.protocol.hash
    assert near.id != plain.id


def test_classification_and_person_search_do_not_mix():
    with pytest.raises(FgbenchError, match="must be given together"):
        runs_of(recipe(classifier="softmax"))
    with pytest.raises(FgbenchError, match="mini_birds has classes, not persons"):
        runs_of(recipe(data="mini_birds"))
    changed = mini.recipe("bcnn_dm")
    last = changed.profiles["quick"][-1].model_copy(update={"set": {"data": "mini_persons"}})
    with pytest.raises(FgbenchError, match="its classifier is ranking"):
        runs_of(changed.model_copy(update={"profiles": {"quick": (*changed.profiles["quick"], last)}}))
    with pytest.raises(FgbenchError, match=r"not classes\n  leave out --classes"):
        runs_of(recipe(), classes=3)


def test_splits_of_viper_share_the_pixel_cache_and_have_disjoint_images(tmp_path):
    made = recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 10})
    index = reid_datasets["mini_viper"].index()
    whole = None
    for run in runs_of(made, (0, 3)):
        trial = experiment(index, run.protocol, run.settings, run.seed)
        assert not set(trial.training.images.ids) & set(trial.test.images.ids)
        assert trial.test.labels is None
        assert not trial.test.images.labels.any()
        pixels = trial.pixels(trial.test, Pipeline.parse(mini_reid.PIPELINE), lambda done, total: None)
        whole = pixels._images if whole is None else whole
        assert np.array_equal(pixels[:], whole[trial.test.images.ids])


@pytest.mark.parametrize("mirror", [True, False])
def test_descriptor_is_the_mean_of_an_image_and_its_mirror_image(mirror):
    class Flat:
        OUTPUTS = ()

        def predict(self, images):
            return Outputs(logits=images, embedding=images.float().flatten(1))

    images = torch.arange(24.0).reshape(2, 3, 2, 2)
    describe = mean_with_mirror(Flat(), "embedding", lambda outputs: outputs.embedding, mirror)
    expected = (images + images.flip(-1)) / 2 if mirror else images
    assert torch.equal(describe(images)["embedding"], expected.flatten(1))

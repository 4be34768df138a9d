"""Persons searched for, from the recipe to the verdict."""

import json
from dataclasses import replace
from functools import cache

import mini
import mini_reid
import numpy as np
import pytest
import torch
from mini_reid import recipe, runs_of

from fgbench.datasets import reid_datasets
from fgbench.datasets.pixels import Rows
from fgbench.errors import FgbenchError
from fgbench.execute import _predict
from fgbench.measures import headline, measure
from fgbench.methods.base import Outputs
from fgbench.metrics.distances import distances
from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import rank
from fgbench.papers import load_papers
from fgbench.recipes import load_recipes
from fgbench.records import Store, by_identity
from fgbench.rules import Ranking
from fgbench.searching import FIRST, chosen_splits, search_arrays, searched_rows, shuffled
from fgbench.verdict import Outcome, judge

CELLS = {cell.id: cell for cell in load_papers()["where_to_focus"].cells()}
HEAD = {"classifier": mini_reid.STAGES["classifier"]}
RULES = Ranking(metric="euclidean")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reid")


@pytest.fixture(scope="module")
def trained(folder):
    return mini.do(runs_of(recipe())[0], folder)


@cache
def persons():
    return reid_datasets["mini_persons"].index()


def random_values(index, rules, draws=40):
    """What random descriptors give: chance, by name, as the values of many draws."""
    splits = chosen_splits(index, rules, 0)
    found = []
    for draw in range(draws):
        descriptors = np.random.default_rng(draw).normal(size=(len(searched_rows(splits)), 16))
        found.append(measure(search_arrays(descriptors, index, splits, rules, seed=0)))
    return {name: np.array([values[name].value for values in found]) for name in found[0]}


def test_a_run_ends_in_a_record_that_verifies(trained, folder):
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


def test_values_that_are_tampered_with_are_found(trained, folder, tmp_path):
    import shutil

    copy = Store(shutil.copytree(folder / "records", tmp_path / "records"))
    path = copy.folder / f"{trained.run_id}.json"
    text = json.loads(path.read_text())
    text["values"]["map/step"]["value"] += 0.01
    path.write_text(json.dumps(text))
    assert [line.split(":")[0] for line in copy.verify(copy.read(trained.run_id))] == ["map/step"]
    arrays = copy.outputs(trained)
    arrays["first_rank"][0] += 1
    np.savez_compressed(copy.folder / trained.outputs, **arrays)
    assert "is not the file" in copy.verify(trained)[0]


def test_training_helps_and_shuffled_identities_fall_to_chance(trained, folder):
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


def test_chance_is_what_counting_says():
    """A random image of the gallery shows the query's person as often as there are images of him in other cameras."""
    index = persons()
    split = index.splits[0]
    chance = random_values(index, RULES)
    expected = []
    for row in split.query:
        search = Search(
            index.identities[[row]], index.identities[split.gallery],
            index.cameras[[row]], index.cameras[split.gallery], same_camera="remove",
        )  # fmt: skip
        kept = split.gallery[search.kept(0)]
        expected.append((index.identities[kept] == index.identities[row]).mean())
    assert chance["cmc@1"].mean() == pytest.approx(100 * np.mean(expected), abs=3 * chance["cmc@1"].std() / np.sqrt(40))


def naive(nearness, index, split):
    """First ranks by the rules of Market-1501, one query at a time."""
    found = []
    for query, row in enumerate(split.query):
        order = [
            gallery
            for gallery in np.argsort(nearness[query], kind="stable")
            if not (
                index.identities[split.gallery[gallery]] == index.identities[row]
                and index.cameras[split.gallery[gallery]] == index.cameras[row]
            )
        ]
        right = [index.identities[split.gallery[gallery]] == index.identities[row] for gallery in order]
        found.append((right.index(True) + 1, [split.gallery[gallery] for gallery in order[:FIRST]]))
    return found


def test_same_camera_junk_and_distractors_follow_the_rule(folder, trained):
    index = persons()
    split = index.splits[0]
    rows = searched_rows(index.splits)
    assert -1 not in index.identities[rows]
    assert 0 in index.identities[split.gallery]
    descriptors = np.random.default_rng(1).normal(size=(len(rows), 8))
    arrays = search_arrays(descriptors, index, index.splits, RULES, seed=0)
    q, g = descriptors[rows.searchsorted(split.query)], descriptors[rows.searchsorted(split.gallery)]
    nearness = ((q[:, None] - g[None]) ** 2).sum(-1)
    expected = naive(nearness, index, split)
    assert arrays["first_rank"][:, 0].tolist() == [first for first, _ in expected]
    for place, query in enumerate(arrays["shown"]):
        found = arrays["shown_gallery"][place]
        assert found.tolist() == expected[query][1]
        right = index.identities[found] == arrays["identities"][query]
        assert np.array_equal(arrays["shown_right"][place], right)
        first = arrays["first_rank"][query, 0]
        assert (right.argmax() + 1 == first) if right.any() else first > FIRST


@pytest.mark.parametrize("same_camera", ["remove", "keep", "remove_camera"])
def test_what_is_kept_is_what_the_ranking_keeps(same_camera):
    rng = np.random.default_rng(0)
    q, g = rng.integers(1, 5, 12), rng.integers(-1, 5, 60)
    search = Search(q, g, rng.integers(1, 4, 12), rng.integers(1, 4, 60), same_camera=same_camera)
    nearness = rng.normal(size=(12, 60))
    found = rank(nearness, search)
    for query in range(12):
        kept = search.kept(query)
        assert (g[kept] == q[query]).sum() == found.relevant[query]
        order = np.flatnonzero(kept)[nearness[query, kept].argsort()]
        assert (g[order] == q[query]).argmax() + 1 == found.first_rank[query, 0]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_distances_in_parts_order_the_gallery_as_those_at_once(metric):
    rng = np.random.default_rng(0)
    descriptors = (rng.normal(size=(40, 50)) + 3).astype(np.float32)
    q, g = np.arange(10), np.arange(10, 40)
    ids = rng.integers(0, 4, 40)
    search = Search(ids[q], ids[g], same_camera="keep")
    whole = rank(Features(descriptors[q], descriptors[g], metric), search)
    parts = rank(distances(descriptors, q, g, metric, chunk=7), search)
    assert np.array_equal(whole.ap_step, parts.ap_step)
    descriptors[3] = np.nan
    with pytest.raises(FgbenchError, match="descriptor 3 is"):
        distances(descriptors, q, g, metric)
    descriptors[3] = 0
    if metric == "cosine":
        with pytest.raises(FgbenchError, match="descriptor 3 is"):
            distances(descriptors, q, g, metric)


def test_shuffling_keeps_cameras_roles_and_queries_that_are_in_the_gallery():
    index = persons()
    split = index.splits[0]
    mixed = shuffled(index, split, np.random.default_rng(0))
    assert (mixed[split.query] != index.identities[split.query]).mean() > 0.8
    assert np.array_equal(mixed[split.train], index.identities[split.train])
    for rows in (split.query, split.gallery):
        for camera in (1, 2, 3):
            here = rows[index.cameras[rows] == camera]
            assert np.array_equal(np.sort(mixed[here]), np.sort(index.identities[here]))


def test_seeds_run_splits_whose_mean_is_judged(tmp_path):
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
    found = judge(cell, records, {}, load_recipes())
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert "synthetic" in found.reason
    assert found.mean == pytest.approx(np.mean([r.values["cmc@1"].value for r in records]))
    assert len(found.records) == 3
    assert found.spread is not None


def test_one_way_only_and_too_few_splits():
    made = recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 10, "directions": "first"})
    (run,) = runs_of(made, (4,))
    index = reid_datasets["mini_viper"].index()
    assert [split.name for split in chosen_splits(index, run.settings.ranking, 4)] == ["5a"]
    (both,) = runs_of(recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 10}), (4,))
    assert run.protocol.hash != both.protocol.hash
    with pytest.raises(FgbenchError, match="mini_viper has 10 splits, and none of number 11"):
        runs_of(recipe("bcnn_dm", "viper", data="mini_viper", stages={}, ranking={"splits": 11}))


def test_average_precision_of_a_cell_is_the_trapezoids(trained):
    own = trained.model_copy(update={"recipe": "where_to_focus/spatial_lstm_dm@market1501"})
    known = load_recipes()
    found = judge(CELLS["t3/ours_dm/market_map"], [own], {}, known)
    assert found.mean == trained.values["map/trapezoid"].value
    assert judge(CELLS["t3/ours_dm/market_r1"], [own], {}, known).mean == trained.values["cmc@1"].value


def test_a_gallery_of_one_image_a_person(tmp_path):
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


def test_every_rule_but_the_distance_is_in_the_protocol():
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


def test_a_recipe_that_classifies_does_not_search_and_the_other_way_round():
    with pytest.raises(FgbenchError, match="go together"):
        runs_of(recipe(classifier="softmax"))
    with pytest.raises(FgbenchError, match="mini_birds has classes, and no persons"):
        runs_of(recipe(data="mini_birds"))
    changed = mini.recipe("bcnn_dm")
    last = changed.profiles["quick"][-1].model_copy(update={"set": {"data": "mini_persons"}})
    with pytest.raises(FgbenchError, match="its classifier is ranking"):
        runs_of(changed.model_copy(update={"profiles": {"quick": (*changed.profiles["quick"], last)}}))
    with pytest.raises(FgbenchError, match="not classes to choose from"):
        runs_of(recipe(), classes=3)


def test_some_rows_of_the_pixels_of_all_images():
    whole = np.arange(10 * 12).reshape(10, 2, 2, 3).astype(np.uint8)
    rows = Rows(whole, np.array([7, 2, 5]))
    assert rows.shape == (3, 2, 2, 3)
    assert len(rows) == 3
    assert np.array_equal(rows[1:], whole[[2, 5]])
    assert np.array_equal(rows[np.array([2, 0])], whole[[5, 7]])


def test_the_splits_of_viper_share_the_pixels_but_not_the_images(tmp_path):
    from fgbench.experiment import experiment
    from fgbench.pipeline import Pipeline

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


def test_a_query_that_is_in_the_gallery_never_finds_itself():
    """As in CUHK03, where all images of the test persons are queries and gallery."""
    index = persons()
    test = index.splits[0].gallery[index.identities[index.splits[0].gallery] > 0]
    split = replace(index.splits[0], query=test, gallery=test)
    descriptors = np.random.default_rng(0).normal(size=(len(test), 16))
    for shuffle in (False, True):
        rules = RULES.model_copy(update={"gallery": "single_shot"})
        values = measure(search_arrays(descriptors, index, (split,), rules, seed=0, shuffle=shuffle))
        assert values["cmc@1"].value < 30
        assert values["map/step"].value < 30
    mixed = shuffled(index, split, np.random.default_rng(0))
    assert (mixed[test] != index.identities[test]).mean() > 0.8


@pytest.mark.parametrize("mirror", [True, False])
def test_a_descriptor_is_the_mean_of_an_image_and_its_mirror_image(mirror):
    class Flat:
        OUTPUTS = ()

        def predict(self, images):
            return Outputs(logits=images, embedding=images.float().flatten(1))

    images = torch.arange(24.0).reshape(2, 3, 2, 2)
    describe = _predict(Flat(), "embedding", lambda outputs: outputs.embedding, mirror)
    expected = (images + images.flip(-1)) / 2 if mirror else images
    assert torch.equal(describe(images)["embedding"], expected.flatten(1))


def test_queries_without_a_match_are_left_out_or_count_as_nothing():
    index = persons()
    split = index.splits[0]
    lost = index.identities[split.query[0]]
    fewer = replace(split, gallery=split.gallery[index.identities[split.gallery] != lost])
    alone = int((index.identities[split.query] == lost).sum())
    descriptors = np.random.default_rng(0).normal(size=(len(searched_rows((fewer,))), 8))
    found = {}
    for rule in ("skip", "zero"):
        arrays = search_arrays(descriptors, index, (fewer,), RULES.model_copy(update={"no_match": rule}), seed=0)
        found[rule] = measure(arrays)
        assert (arrays["relevant"] == 0).sum() == alone
    for name, value in found["skip"].items():
        assert value.n == len(split.query) - alone
        assert found["zero"][name].n == len(split.query)
        assert found["zero"][name].value == pytest.approx(value.value * value.n / len(split.query))
        assert found["zero"][name].low <= found["zero"][name].value <= found["zero"][name].high

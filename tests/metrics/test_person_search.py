"""The search for persons by given descriptors: what is junk, what counts, and what chance gives."""

from dataclasses import replace

import numpy as np
import pytest
from mini_reid import persons, random_values

from fgbench.datasets.pixel_cache import Rows
from fgbench.metrics.distances import distances
from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.person_search import FIRST, search_arrays, searched_rows, shuffled
from fgbench.metrics.ranking import rank
from fgbench.metrics.search_rules import SearchRules
from fgbench.metrics.values import measure
from fgbench.util.errors import FgbenchError

RULES = SearchRules(metric="euclidean")


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


def test_same_camera_junk_and_distractors_follow_the_rule():
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


def test_some_rows_of_the_pixels_of_all_images():
    whole = np.arange(10 * 12).reshape(10, 2, 2, 3).astype(np.uint8)
    rows = Rows(whole, np.array([7, 2, 5]))
    assert rows.shape == (3, 2, 2, 3)
    assert len(rows) == 3
    assert np.array_equal(rows[1:], whole[[2, 5]])
    assert np.array_equal(rows[np.array([2, 0])], whole[[5, 7]])


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

"""Person search with given descriptors: junk, images that count, and chance level."""

from dataclasses import replace

import numpy as np
import pytest
from mini_reid import persons, random_values

from fgbench.datasets.pixel_cache import Rows
from fgbench.metrics.gallery import Search
from fgbench.metrics.person_search import FIRST, search_arrays, searched_rows, shuffle_identities
from fgbench.metrics.search_rules import SearchRules
from fgbench.metrics.values import measure

RULES = SearchRules(metric="euclidean")


def test_random_descriptors_give_chance_level():
    """Chance level is the share of matches among the gallery images that count for the query."""
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


def naive(query_distances, index, split):
    """Return first rank and first images of each query by the rules of Market-1501, query by query."""
    results = []
    for query, row in enumerate(split.query):
        order = [
            gallery
            for gallery in np.argsort(query_distances[query], kind="stable")
            if not (
                index.identities[split.gallery[gallery]] == index.identities[row]
                and index.cameras[split.gallery[gallery]] == index.cameras[row]
            )
        ]
        matches = [index.identities[split.gallery[gallery]] == index.identities[row] for gallery in order]
        results.append((matches.index(True) + 1, [split.gallery[gallery] for gallery in order[:FIRST]]))
    return results


def test_search_arrays_equal_a_naive_reference():
    index = persons()
    split = index.splits[0]
    rows = searched_rows(index.splits)
    assert -1 not in index.identities[rows]
    assert 0 in index.identities[split.gallery]
    descriptors = np.random.default_rng(1).normal(size=(len(rows), 8))
    arrays = search_arrays(descriptors, index, index.splits, RULES, seed=0)
    q, g = descriptors[rows.searchsorted(split.query)], descriptors[rows.searchsorted(split.gallery)]
    query_distances = ((q[:, None] - g[None]) ** 2).sum(-1)
    expected = naive(query_distances, index, split)
    assert arrays["first_rank"][:, 0].tolist() == [first for first, _ in expected]
    for place, query in enumerate(arrays["shown"]):
        images = arrays["shown_gallery"][place]
        assert images.tolist() == expected[query][1]
        right = index.identities[images] == arrays["identities"][query]
        assert np.array_equal(arrays["shown_right"][place], right)
        first = arrays["first_rank"][query, 0]
        assert (right.argmax() + 1 == first) if right.any() else first > FIRST


def test_shuffled_identities_keep_cameras_and_roles():
    index = persons()
    split = index.splits[0]
    mixed = shuffle_identities(index, split, np.random.default_rng(0))
    assert (mixed[split.query] != index.identities[split.query]).mean() > 0.8
    assert np.array_equal(mixed[split.train], index.identities[split.train])
    for rows in (split.query, split.gallery):
        for camera in (1, 2, 3):
            here = rows[index.cameras[rows] == camera]
            assert np.array_equal(np.sort(mixed[here]), np.sort(index.identities[here]))


def test_rows_of_pixels():
    whole = np.arange(10 * 12).reshape(10, 2, 2, 3).astype(np.uint8)
    rows = Rows(whole, np.array([7, 2, 5]))
    assert rows.shape == (3, 2, 2, 3)
    assert len(rows) == 3
    assert np.array_equal(rows[1:], whole[[2, 5]])
    assert np.array_equal(rows[np.array([2, 0])], whole[[5, 7]])


def test_query_in_the_gallery_does_not_match_itself():
    """In CUHK03, all images of the test persons are queries and gallery images."""
    index = persons()
    test = index.splits[0].gallery[index.identities[index.splits[0].gallery] > 0]
    split = replace(index.splits[0], query=test, gallery=test)
    descriptors = np.random.default_rng(0).normal(size=(len(test), 16))
    for shuffle in (False, True):
        rules = RULES.model_copy(update={"gallery": "single_shot"})
        values = measure(search_arrays(descriptors, index, (split,), rules, seed=0, shuffle=shuffle))
        assert values["cmc@1"].value < 30
        assert values["map/step"].value < 30
    mixed = shuffle_identities(index, split, np.random.default_rng(0))
    assert (mixed[test] != index.identities[test]).mean() > 0.8


def test_queries_without_a_match_are_skipped_or_count_as_zero():
    index = persons()
    split = index.splits[0]
    lost = index.identities[split.query[0]]
    fewer = replace(split, gallery=split.gallery[index.identities[split.gallery] != lost])
    without_match = int((index.identities[split.query] == lost).sum())
    descriptors = np.random.default_rng(0).normal(size=(len(searched_rows((fewer,))), 8))
    values = {}
    for rule in ("skip", "zero"):
        arrays = search_arrays(descriptors, index, (fewer,), RULES.model_copy(update={"no_match": rule}), seed=0)
        values[rule] = measure(arrays)
        assert (arrays["relevant"] == 0).sum() == without_match
    for name, value in values["skip"].items():
        assert value.n == len(split.query) - without_match
        assert values["zero"][name].n == len(split.query)
        assert values["zero"][name].value == pytest.approx(value.value * value.n / len(split.query))
        assert values["zero"][name].low <= values["zero"][name].value <= values["zero"][name].high

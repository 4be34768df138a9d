import itertools
import math

import numpy as np
import pytest

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import cmc, rank
from fgbench.metrics.single_shot import single_shot

RULES = ("remove", "keep", "remove_camera")


def crowd(seed=0, queries=9, gallery=14):
    """Return ids and cameras of a search so small that all single-shot galleries can be enumerated; some are junk."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 7, queries), rng.integers(-1, 6, gallery)
    return (*ids, rng.integers(0, 3, queries), rng.integers(0, 3, gallery))


def matrix(queries=9, gallery=14, values=5, seed=1):
    return np.random.default_rng(seed).integers(0, values, (queries, gallery)).astype(float)


def naive_ranks(distances, search, q):
    """Return optimistic and pessimistic rank of the match in every possible gallery of query q."""
    images = {}
    for g, person in enumerate(search.gallery_ids.tolist()):
        same_id = search.query_ids[q] == person
        same_camera = search.same_camera != "keep" and search.query_cameras[q] == search.gallery_cameras[g]
        if person != search.junk and not (same_camera and (same_id or search.same_camera == "remove_camera")):
            images.setdefault(person, []).append(distances[q, g])
    matches = images.pop(int(search.query_ids[q]), [])
    return [
        (1 + sum(d < match for d in others), 1 + sum(d <= match for d in others))
        for match, *others in itertools.product(matches, *images.values())
    ]


@pytest.mark.parametrize("same_camera", RULES)
@pytest.mark.parametrize("values", [5, 1000])
def test_random_galleries_follow_the_distribution_of_all_galleries(same_camera, values):
    search, distances = Search(*crowd(), same_camera=same_camera), matrix(values=values)
    drawn = single_shot(distances, search, seed=0, repeats=4000, block_mib=0.0004)
    assert drawn.shape == (9, 4000, 2)
    listed = [naive_ranks(distances, search, q) for q in range(9)]
    assert 0 < sum(not ranks for ranks in listed) < 5
    assert max(len(ranks) for ranks in listed) > 20
    for q, ranks in enumerate(listed):
        if not ranks:
            assert np.isinf(drawn[q]).all()
            continue
        for k in range(1, 8):
            expected = (np.array(ranks) <= k).mean(axis=0)
            np.testing.assert_allclose((drawn[q] <= k).mean(axis=0), expected, atol=4 * 0.5 / math.sqrt(4000))
        assert set(map(tuple, drawn[q].astype(int).tolist())) == set(ranks)


def test_cmc_of_many_galleries_equals_the_expectation():
    search, distances = Search(*crowd(), same_camera="remove"), matrix(values=1000)
    listed = [ranks for q in range(9) if (ranks := naive_ranks(distances, search, q))]
    for k in (1, 2, 4):
        expected = 100 * np.mean([(np.array(ranks) <= k).mean() for ranks in listed])
        drawn = cmc(single_shot(distances, search, seed=5, repeats=3000), k, ties="mean", no_match="skip")
        assert drawn == pytest.approx(expected, abs=1.5)
        assert 5 < expected < 95


@pytest.mark.parametrize("same_camera", RULES)
def test_one_image_of_each_identity_gives_the_rank_in_the_whole_gallery(same_camera):
    rng = np.random.default_rng(2)
    ids, cameras = np.arange(30), rng.integers(0, 2, 60)
    search = Search(ids, rng.permutation(30), cameras[:30], cameras[30:], same_camera=same_camera)
    distances = rng.integers(0, 12, (30, 30)).astype(float)
    ranked = rank(distances, search)
    drawn = single_shot(distances, search, seed=0, repeats=3)
    np.testing.assert_array_equal(drawn, np.repeat(ranked.first_rank[:, None], 3, axis=1))


def test_galleries_depend_only_on_the_seed():
    search, distances = Search(*crowd(), same_camera="remove"), matrix(values=1000)
    np.random.seed(0)  # noqa: NPY002 - must have no effect
    first = single_shot(distances, search, seed=1)
    np.random.seed(1)  # noqa: NPY002
    assert first.shape == (9, 10, 2)
    np.testing.assert_array_equal(single_shot(distances, search, seed=1, block_mib=1e-9), first)
    assert (single_shot(distances, search, seed=2) != first).any()


def test_gallery_of_one_person():
    search = Search(np.array([1, 2]), np.array([1, 1]), same_camera="keep")
    distances = np.array([[3.0, 4], [3, 4]])
    assert single_shot(distances, search, seed=0, repeats=1).tolist() == [[[1, 1]], [[math.inf, math.inf]]]


def test_features_give_the_same_ranks_as_distances():
    rng = np.random.default_rng(4)
    query, gallery = rng.normal(size=(9, 5)), rng.normal(size=(14, 5))
    search = Search(*crowd(), same_camera="remove")
    distances = np.linalg.norm(query[:, None] - gallery, axis=2)
    both = Features(query, gallery, "euclidean")
    np.testing.assert_array_equal(single_shot(both, search, seed=3), single_shot(distances, search, seed=3))


def test_wrong_arguments_raise():
    search, distances = Search(*crowd(), same_camera="keep"), matrix()
    with pytest.raises(ValueError, match="at least one gallery, not 0"):
        single_shot(distances, search, seed=0, repeats=0)
    no_match = Search(np.full(9, 99), search.gallery_ids, same_camera="keep")
    with pytest.raises(ValueError, match="none of the 9 queries has a match"):
        single_shot(distances, no_match, seed=0)

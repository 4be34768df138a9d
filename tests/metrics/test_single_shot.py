import itertools
import math

import numpy as np
import pytest

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import average, cmc, rank
from fgbench.metrics.single_shot import expected_single_shot, single_shot
from fgbench.util.errors import FgbenchError

RULES = ("remove", "keep", "remove_camera")


def crowd(seed=0, queries=9, gallery=14):
    """Few enough images of each identity that all galleries of one image each can be listed; some are junk."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 7, queries), rng.integers(-1, 6, gallery)
    return (*ids, rng.integers(0, 3, queries), rng.integers(0, 3, gallery))


def matrix(queries=9, gallery=14, values=5, seed=1):
    return np.random.default_rng(seed).integers(0, values, (queries, gallery)).astype(float)


def naive_ranks(distances, search, q):
    """Optimistic and pessimistic rank of the match in every gallery that can be drawn for query q."""
    images = {}
    for g, person in enumerate(search.gallery_ids.tolist()):
        same_id = search.query_ids[q] == person
        same_camera = search.same_camera != "keep" and search.query_cameras[q] == search.gallery_cameras[g]
        if person != search.junk and not (same_camera and (same_id or search.same_camera == "remove_camera")):
            images.setdefault(person, []).append(distances[q, g])
    own = images.pop(int(search.query_ids[q]), [])
    return [
        (1 + sum(d < mine for d in others), 1 + sum(d <= mine for d in others))
        for mine, *others in itertools.product(own, *images.values())
    ]


@pytest.mark.parametrize("same_camera", RULES)
@pytest.mark.parametrize("values", [5, 1000])
def test_equals_all_galleries_written_out(same_camera, values):
    search, distances = Search(*crowd(), same_camera=same_camera), matrix(values=values)
    expected = expected_single_shot(distances, search, ranks=7, block_mib=0.0004)
    drawn = single_shot(distances, search, seed=0, repeats=4000, block_mib=0.0004)
    assert expected.shape == (9, 7, 2)
    listed = [naive_ranks(distances, search, q) for q in range(9)]
    assert 0 < sum(not ranks for ranks in listed) < 5
    assert max(len(ranks) for ranks in listed) > 20
    for q, ranks in enumerate(listed):
        if not ranks:
            assert np.isnan(expected[q]).all()
            assert np.isinf(drawn[q]).all()
            continue
        for k in range(1, 8):
            hits = (np.array(ranks) <= k).mean(axis=0)
            np.testing.assert_allclose(expected[q, k - 1], hits, atol=1e-12)
            np.testing.assert_allclose((drawn[q] <= k).mean(axis=0), hits, atol=4 * 0.5 / math.sqrt(4000))
        assert set(map(tuple, drawn[q].astype(int).tolist())) == set(ranks)


def test_the_mean_of_many_draws_is_the_expectation():
    search, distances = Search(*crowd(), same_camera="remove"), matrix(values=1000)
    rules = {"ties": "mean", "no_match": "skip"}
    for k in (1, 2, 4):
        expected = average(expected_single_shot(distances, search, ranks=k)[:, -1], **rules)
        drawn = cmc(single_shot(distances, search, seed=5, repeats=3000), k, **rules)
        assert drawn == pytest.approx(expected, abs=1.5)
        assert 5 < expected < 95


@pytest.mark.parametrize("same_camera", RULES)
def test_one_image_an_identity_leaves_nothing_to_chance(same_camera):
    rng = np.random.default_rng(2)
    ids, cameras = np.arange(30), rng.integers(0, 2, 60)
    search = Search(ids, rng.permutation(30), cameras[:30], cameras[30:], same_camera=same_camera)
    distances = rng.integers(0, 12, (30, 30)).astype(float)
    ranking = rank(distances, search)
    drawn = single_shot(distances, search, seed=0, repeats=3)
    np.testing.assert_array_equal(drawn, np.repeat(ranking.first_rank[:, None], 3, axis=1))
    expected = expected_single_shot(distances, search, ranks=4)
    for k in (1, 4):
        rules = {"ties": "pessimistic", "no_match": "skip"}
        assert average(expected[:, k - 1], **rules) == pytest.approx(cmc(ranking.first_rank, k, **rules))


def test_draws_follow_the_seed_and_nothing_else():
    search, distances = Search(*crowd(), same_camera="remove"), matrix(values=1000)
    np.random.seed(0)  # noqa: NPY002 - it must not matter
    first = single_shot(distances, search, seed=1)
    np.random.seed(1)  # noqa: NPY002
    assert first.shape == (9, 10, 2)
    np.testing.assert_array_equal(single_shot(distances, search, seed=1, block_mib=1e-9), first)
    assert (single_shot(distances, search, seed=2) != first).any()


def test_a_gallery_of_one_person():
    search = Search(np.array([1, 2]), np.array([1, 1]), same_camera="keep")
    distances = np.array([[3.0, 4], [3, 4]])
    assert single_shot(distances, search, seed=0, repeats=1).tolist() == [[[1, 1]], [[math.inf, math.inf]]]
    expected = expected_single_shot(distances, search, ranks=2)
    assert expected[0].tolist() == [[1, 1], [1, 1]]
    assert np.isnan(expected[1]).all()


def test_features_are_taken_too():
    rng = np.random.default_rng(4)
    query, gallery = rng.normal(size=(9, 5)), rng.normal(size=(14, 5))
    search = Search(*crowd(), same_camera="remove")
    distances = np.linalg.norm(query[:, None] - gallery, axis=2)
    both = Features(query, gallery, "euclidean")
    np.testing.assert_array_equal(single_shot(both, search, seed=3), single_shot(distances, search, seed=3))
    found = expected_single_shot(both, search, ranks=3)
    np.testing.assert_array_equal(found, expected_single_shot(distances, search, ranks=3))


def test_nonsense_is_refused():
    search, distances = Search(*crowd(), same_camera="keep"), matrix()
    with pytest.raises(FgbenchError, match="one gallery at least, not 0"):
        single_shot(distances, search, seed=0, repeats=0)
    with pytest.raises(FgbenchError, match="rank 1, not 0"):
        expected_single_shot(distances, search, ranks=0)
    nobody = Search(np.full(9, 99), search.gallery_ids, same_camera="keep")
    with pytest.raises(FgbenchError, match="none of the 9 queries has a match"):
        single_shot(distances, nobody, seed=0)
    with pytest.raises(FgbenchError, match="none of the 9 queries has a match"):
        expected_single_shot(distances, nobody, ranks=1)

import math
import tracemalloc

import numpy as np
import pytest
from searches import assert_equal_naive, crowd, matrix

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import rank


@pytest.mark.parametrize("same_camera", ["remove", "keep", "remove_camera"])
def test_kept_images_equal_those_of_the_ranking(same_camera):
    rng = np.random.default_rng(0)
    q, g = rng.integers(1, 5, 12), rng.integers(-1, 5, 60)
    search = Search(q, g, rng.integers(1, 4, 12), rng.integers(1, 4, 60), same_camera=same_camera)
    distances = rng.normal(size=(12, 60))
    ranked = rank(distances, search)
    for query in range(12):
        kept = search.kept(query)
        assert (g[kept] == q[query]).sum() == ranked.relevant[query]
        order = np.flatnonzero(kept)[distances[query, kept].argsort()]
        assert (g[order] == q[query]).argmax() + 1 == ranked.first_rank[query, 0]


def features(dtype, queries=40, gallery=90, width=8, offset=0.0):
    rng = np.random.default_rng(5)
    return [(rng.normal(size=(n, width)) + offset).astype(dtype) for n in (queries, gallery)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_features_give_the_same_ranks_as_distances(dtype, metric):
    query, gallery = features(dtype)
    query[3] *= 7
    gallery[5] *= 7
    wide_q, wide_g = query.astype(float), gallery.astype(float)
    if metric == "cosine":
        norms = np.linalg.norm(wide_q, axis=1)[:, None] * np.linalg.norm(wide_g, axis=1)
        distances = 1 - wide_q @ wide_g.T / norms
    else:
        distances = np.linalg.norm(wide_q[:, None] - wide_g, axis=2)
    search = Search(*crowd(), same_camera="remove")
    before = query.copy(), gallery.copy()
    assert_equal_naive(rank(Features(query, gallery, metric), search, block_mib=0.003), distances, search)
    np.testing.assert_array_equal(query, before[0])
    np.testing.assert_array_equal(gallery, before[1])


def test_features_far_from_the_origin_lose_no_precision():
    """Without centering, squares of about 8e6 would leave no float32 precision for the differences."""
    query, gallery = features(np.float32, offset=1000.0)
    distances = np.linalg.norm(query[:, None].astype(float) - gallery, axis=2)
    search = Search(*crowd(), same_camera="remove")
    assert_equal_naive(rank(Features(query, gallery, "euclidean"), search), distances, search)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_cosine_is_independent_of_scale(scale):
    query, gallery = features(np.float32)
    search = Search(*crowd(), same_camera="keep")
    expected = rank(Features(query, gallery, "cosine"), search)
    result = rank(Features(query * np.float32(scale), gallery * np.float32(scale), "cosine"), search)
    np.testing.assert_array_equal(result.ap_step, expected.ap_step)


def test_equal_features_tie():
    query, gallery = features(np.float32, 4, 6)
    gallery[:] = gallery[0]
    search = Search(np.ones(4, int), np.array([1, 2, 2, 2, 2, 2]), same_camera="keep")
    for metric in ("euclidean", "cosine"):
        assert rank(Features(query, gallery, metric), search).first_rank.tolist() == [[1, 6]] * 4


@pytest.mark.parametrize("scale", [1e30, -1e30])
def test_distances_whose_squares_overflow_are_finite(scale):
    search, distances = Search(*crowd(), same_camera="remove"), matrix() * np.float32(scale)
    assert_equal_naive(rank(distances, search), distances, search)


def test_memory_does_not_grow_with_queries_times_gallery():
    """400 and 4,000 queries in 3,000 images have 4.8 and 48 MB of distances; a block has 1 MiB."""
    peaks = []
    for queries in (400, 4000):
        both = Features(*features(np.float32, queries, 3000), "euclidean")
        search = Search(*crowd(queries, 3000, 300), same_camera="remove_camera")
        tracemalloc.start()
        rank(both, search, block_mib=1)
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2
    assert peaks[1] < 5


def change(array, where, value):
    array = array.astype(float) if isinstance(value, float) else array.copy()
    array[where] = value
    return array


@pytest.mark.parametrize(
    ("change_arguments", "message"),
    [
        (lambda d, s: (d[:-1], s()), "40 queries and 90 gallery images have the shape .39, 90."),
        (lambda d, s: (d.T, s()), "have the shape .90, 40."),
        (lambda d, s: (change(d, (7, 3), math.nan), s()), "query 7 to gallery image 3 is not finite"),
        (lambda d, s: (change(d, (39, 0), -math.inf), s()), "query 39 to gallery image 0 is not finite"),
        (lambda d, s: (change(d, (0, 7), math.inf), s()), "query 0 to gallery image 7 is not finite"),  # has no match
        (lambda d, s: (change(d, (5, 1), math.nan), s()), "query 5 to gallery image 1 is not finite"),  # is junk
        (lambda d, s: (change(d, (6, [3, 8]), math.nan), s()), "query 6 to gallery image 3 is not finite"),
        (lambda d, s: (d, s(query_ids=np.full(40, 99))), "none of the 40 queries has a match"),
        (lambda d, s: (d, s(query_ids=np.array([1] * 9 + [-1] * 31))), "query 9 has the identity of junk, -1"),
        (lambda d, s: (d, s(query_ids=np.ones(40))), "query ids have to be integers of shape"),
        (lambda d, s: (d, s(gallery_ids=np.ones((90, 1), int))), "gallery ids have to be integers of shape"),
        (lambda d, s: (d, s(gallery_ids=np.ones(0, int))), "gallery ids have to be integers of shape"),
        (lambda d, s: (d, s(query_cameras=None)), "requires the query cameras"),
        (lambda d, s: (d, s(gallery_cameras=None)), "requires the gallery cameras"),
        (lambda d, s: (d, s(gallery_cameras=np.ones(89, int))), "gallery cameras have to be integers"),
        (lambda d, s: (d, s(query_cameras=np.ones(40))), "query cameras have to be integers"),
        (lambda d, s: (d, s(same_camera="drop")), "the rule 'drop' for images from the same camera is unknown"),
    ],
)
def test_wrong_arguments_raise(change_arguments, message):
    names = ("query_ids", "gallery_ids", "query_cameras", "gallery_cameras")
    known = {**dict(zip(names, crowd(), strict=True)), "same_camera": "remove"}
    with pytest.raises(ValueError, match=message):
        rank(*change_arguments(matrix(), lambda **other: Search(**{**known, **other})))


@pytest.mark.parametrize(
    ("change_arguments", "message"),
    [
        (lambda q, g: (q[:, 1:], g, "cosine"), "features have to be .*, not .40, 7."),
        (lambda q, g: (q[0], g, "cosine"), "features have to be .*, not .8,."),
        (lambda q, g: (q[:0], g, "cosine"), "features have to be .*, not .0, 8."),
        (lambda q, g: (change(q, (4, 2), math.nan), g, "cosine"), "query 4 are not finite"),
        (lambda q, g: (q, change(g, (6, 0), math.inf), "euclidean"), "gallery 6 are not finite"),
        (lambda q, g: (q, change(g, 8, 0), "cosine"), "features of gallery 8 are zero"),
        (lambda q, g: (change(q, 2, 0), g, "cosine"), "features of query 2 are zero"),
        (lambda q, g: (q, g, "manhattan"), "the distance 'manhattan' is unknown"),
    ],
)
def test_wrong_features_raise(change_arguments, message):
    with pytest.raises(ValueError, match=message):
        Features(*change_arguments(*features(np.float32)))


def test_features_that_overflow_raise():
    query, gallery = features(np.float32)
    search = Search(*crowd(), same_camera="keep")
    with pytest.raises(ValueError, match="query 0 to gallery image 0 is not finite"), np.errstate(all="ignore"):
        rank(Features(query * np.float32(1e25), gallery * np.float32(1e25), "euclidean"), search)

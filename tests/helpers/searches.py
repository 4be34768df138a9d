"""Random person searches with a naive reference of their measures."""

import math

import numpy as np
import pytest


def crowd(queries=40, gallery=90, people=12, seed=0):
    """Return ids and cameras; gallery ids include -1 (junk) and 0 (distractors); some queries have no match."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, people + 3, queries), rng.integers(-1, people, gallery)
    return (*ids, rng.integers(0, 4, queries), rng.integers(0, 4, gallery))


def matrix(queries=40, gallery=90, values=None, seed=1):
    """Return distances; with few different `values`, there are ties."""
    rng = np.random.default_rng(seed)
    if values is None:
        return rng.random((queries, gallery)).astype(np.float32)
    return rng.integers(0, values, (queries, gallery)).astype(np.float32)


def naive_row(distances, search, q, pessimistic):
    """Return whether each image of the ranking of one query is a match; naive reference."""
    row = []
    for g, distance in enumerate(distances[q].tolist()):
        same_id = search.query_ids[q] == search.gallery_ids[g]
        same_camera = search.same_camera != "keep" and search.query_cameras[q] == search.gallery_cameras[g]
        if search.gallery_ids[g] == search.junk:
            continue
        if same_camera and (same_id or search.same_camera == "remove_camera"):
            continue
        row.append((distance, same_id == pessimistic, bool(same_id)))
    return [match for _, _, match in sorted(row)]


def naive_measures(matches):
    """Number of matches, first rank, AP by both rules, INP of a list of hits and misses."""
    ranks = [place for place, match in enumerate(matches, 1) if match]
    if not ranks:
        return 0, math.inf, math.nan, math.nan, math.nan
    step = trapezoid = 0
    for i, r in enumerate(ranks, 1):
        step += i / r / len(ranks)
        before = (i - 1) / (r - 1) if r > 1 else 1
        trapezoid += (before + i / r) / 2 / len(ranks)
    return len(ranks), ranks[0], step, trapezoid, len(ranks) / ranks[-1]


def naive(distances, search):
    """Return the measures of each query, optimistic and pessimistic: (Q, 2, 5)."""
    rows = [[naive_row(distances, search, q, p) for p in (False, True)] for q in range(len(distances))]
    return np.array([[naive_measures(matches) for matches in pair] for pair in rows])


def assert_equal_naive(ranked, distances, search):
    expected = naive(distances, search)
    np.testing.assert_array_equal(ranked.relevant, expected[:, 0, 0])
    np.testing.assert_array_equal(ranked.first_rank, expected[:, :, 1])
    for values, k in ((ranked.ap_step, 2), (ranked.ap_trapezoid, 3), (ranked.inp, 4)):
        np.testing.assert_allclose(values, expected[:, :, k], rtol=1e-12, atol=0)
    differs = expected[:, 0, 2] > expected[:, 1, 2]
    np.testing.assert_array_equal(ranked.tied, differs)
    assert ranked.tied_percent == pytest.approx(100 * differs.mean())
    return expected

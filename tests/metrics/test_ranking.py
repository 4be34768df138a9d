import math
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import average, cmc, mean_ap, mean_inp, rank
from fgbench.util.errors import FgbenchError

RULES = ("remove", "keep", "remove_camera")
CHOICES = [(ties, no_match) for ties in ("optimistic", "pessimistic", "mean") for no_match in ("skip", "zero")]


def crowd(queries=40, gallery=90, people=12, seed=0):
    """Ids from -1 (junk, in the gallery only) and 0 (distractors); some of the queries are not in the gallery."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, people + 3, queries), rng.integers(-1, people, gallery)
    return (*ids, rng.integers(0, 4, queries), rng.integers(0, 4, gallery))


def matrix(queries=40, gallery=90, values=None, seed=1):
    """Distances, of which there are few different ones if `values` says so, so that there are ties."""
    rng = np.random.default_rng(seed)
    if values is None:
        return rng.random((queries, gallery)).astype(np.float32)
    return rng.integers(0, values, (queries, gallery)).astype(np.float32)


def naive_row(distances, search, q, pessimistic):
    """Whether each image of the ranking of one query is a match, from the rules written out image by image."""
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
    """(Q, 2, 5): the measures of each query, optimistic and pessimistic."""
    rows = [[naive_row(distances, search, q, p) for p in (False, True)] for q in range(len(distances))]
    return np.array([[naive_measures(matches) for matches in pair] for pair in rows])


def assert_equal_naive(ranking, distances, search):
    expected = naive(distances, search)
    np.testing.assert_array_equal(ranking.relevant, expected[:, 0, 0])
    np.testing.assert_array_equal(ranking.first_rank, expected[:, :, 1])
    for found, k in ((ranking.ap_step, 2), (ranking.ap_trapezoid, 3), (ranking.inp, 4)):
        np.testing.assert_allclose(found, expected[:, :, k], rtol=1e-12, atol=0)
    differs = expected[:, 0, 2] > expected[:, 1, 2]
    np.testing.assert_array_equal(ranking.tied, differs)
    assert ranking.tied_percent == pytest.approx(100 * differs.mean())
    return expected


def alone(matches, distances=None):
    """One query for person 1, and its gallery in this order."""
    ids = np.where(np.array(matches, bool), 1, 2)
    row = np.arange(len(ids), dtype=float) if distances is None else np.array(distances, float)
    return row[None], Search(np.array([1]), ids, same_camera="keep")


@pytest.mark.parametrize("same_camera", RULES)
@pytest.mark.parametrize("values", [None, 25, 2])
@pytest.mark.parametrize("junk", [-1, None, 3])
def test_equals_the_definitions_written_out(same_camera, values, junk):
    ids, gallery, cameras, gallery_cameras = crowd()
    ids[ids == 3] = 4
    search = Search(ids, gallery, cameras, gallery_cameras, same_camera=same_camera, junk=junk)
    distances = matrix(values=values)
    ranking = rank(distances, search)
    expected = assert_equal_naive(ranking, distances, search)
    none = expected[:, 0, 0] == 0
    assert 0 < none.sum() < 20
    assert ranking.tied.any() == (values is not None)
    for ties, no_match in CHOICES:
        of = {"optimistic": [0], "pessimistic": [1], "mean": [0, 1]}[ties]
        rows = expected[~none] if no_match == "skip" else np.nan_to_num(expected)
        rules = {"ties": ties, "no_match": no_match}
        assert mean_ap(ranking, rule="step", **rules) == pytest.approx(100 * rows[:, of, 2].mean())
        assert mean_ap(ranking, rule="trapezoid", **rules) == pytest.approx(100 * rows[:, of, 3].mean())
        assert mean_inp(ranking, **rules) == pytest.approx(100 * rows[:, of, 4].mean())
        for k in (1, 5, 50):
            hits = rows[:, of, 1] <= k
            assert cmc(ranking.first_rank, k, **rules) == pytest.approx(100 * hits.mean())


def test_the_three_camera_rules_differ():
    found = [rank(matrix(), Search(*crowd(), same_camera=rule)) for rule in RULES]
    values = {mean_ap(r, rule="step", ties="mean", no_match="skip") for r in found}
    assert len(values) == 3


@pytest.mark.parametrize("block_mib", [1e-9, 90 * 4 * 7 / 2**20, 1])
@pytest.mark.parametrize("same_camera", RULES)
def test_the_size_of_a_block_changes_nothing(block_mib, same_camera):
    search, distances = Search(*crowd(), same_camera=same_camera), matrix(values=25)
    before = distances.copy()
    assert_equal_naive(rank(distances, search, block_mib=block_mib), distances, search)
    np.testing.assert_array_equal(distances, before)


@pytest.mark.parametrize(
    ("matches", "first", "step", "trapezoid", "inp"),
    [
        ([0, 1, 0, 0, 1], 2, 0.45, 0.2875, 2 / 5),
        ([0, 1, 0, 0, 0], 2, 0.5, 0.25, 1 / 2),
        ([1], 1, 1, 1, 1),
        ([1, 1, 1, 0], 1, 1, 1, 1),
        ([1, 0, 1], 1, (1 + 2 / 3) / 2, (1 + (1 / 2 + 2 / 3) / 2) / 2, 2 / 3),
        ([0, 0, 0, 1], 4, 0.25, 0.125, 1 / 4),
    ],
)
def test_rankings_worked_out_by_hand(matches, first, step, trapezoid, inp):
    ranking = rank(*alone(matches))
    assert ranking.relevant.tolist() == [sum(matches)]
    assert ranking.first_rank.tolist() == [[first, first]]
    for found, value in ((ranking.ap_step, step), (ranking.ap_trapezoid, trapezoid), (ranking.inp, inp)):
        assert found[0].tolist() == pytest.approx([value, value], abs=1e-15)
    assert not ranking.tied.any()


def test_a_tie_worked_out_by_hand():
    """A match between two negatives that are as near; the mean is that of the measures, not of the ranks 1 and 3."""
    ranking = rank(*alone([0, 1, 0, 0], [5, 5, 5, 7]))
    assert ranking.first_rank.tolist() == [[1, 3]]
    np.testing.assert_allclose(ranking.ap_step, [[1, 1 / 3]])
    np.testing.assert_allclose(ranking.ap_trapezoid, [[1, 1 / 6]])
    assert ranking.tied_percent == 100
    at = [[cmc(ranking.first_rank, k, ties=t, no_match="skip") for k in (1, 2, 3)] for t in ("optimistic", "mean")]
    assert at == [[100, 100, 100], [50, 50, 100]]
    assert cmc(ranking.first_rank, 2, ties="pessimistic", no_match="skip") == 0
    assert mean_ap(ranking, rule="step", ties="mean", no_match="skip") == pytest.approx(200 / 3)


def test_ties_among_matches_or_among_negatives_do_not_matter():
    assert not rank(*alone([1, 1, 0, 0], [1, 1, 2, 2])).tied.any()


def test_a_tie_with_removed_images_does_not_matter():
    """Junk, and the query's own image, in a row with the match."""
    search = Search(
        *(np.array(v) for v in ([1], [-1, 1, 1, 2], [0], [1, 0, 1, 1])),
        same_camera="remove",
    )
    ranking = rank(np.array([[0.0, 0, 0, 1]]), search)
    assert not ranking.tied.any()
    assert ranking.first_rank.tolist() == [[1, 1]]
    kept = rank(np.array([[0.0, 0, 0, 1]]), Search(search.query_ids, search.gallery_ids, same_camera="keep", junk=None))
    assert kept.relevant.tolist() == [2]
    assert kept.first_rank.tolist() == [[1, 2]]


def test_no_match_counts_as_asked():
    distances = np.array([[1.0, 2, 3], [1, 2, 3]])
    ranking = rank(distances, Search(np.array([1, 9]), np.array([1, 2, 3]), same_camera="keep"))
    assert ranking.relevant.tolist() == [1, 0]
    assert ranking.first_rank.tolist() == [[1, 1], [math.inf, math.inf]]
    for measure in (ranking.ap_step, ranking.ap_trapezoid, ranking.inp):
        assert np.isnan(measure).tolist() == [[False, False], [True, True]]
    for no_match, value in (("skip", 100), ("zero", 50)):
        rules = {"ties": "mean", "no_match": no_match}
        assert cmc(ranking.first_rank, 1, **rules) == value
        assert cmc(ranking.first_rank, 99, **rules) == value
        assert mean_ap(ranking, rule="trapezoid", **rules) == value
        assert mean_inp(ranking, **rules) == value


def test_draws_of_the_gallery_count_alike():
    ranks = np.full((2, 4, 2), np.inf)
    ranks[0] = [[1, 1], [1, 2], [3, 3], [9, 9]]
    assert cmc(ranks, 1, ties="optimistic", no_match="skip") == 50
    assert cmc(ranks, 1, ties="mean", no_match="skip") == 37.5
    assert cmc(ranks, 3, ties="pessimistic", no_match="zero") == 37.5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_step_ap_equals_scikit_learn(dtype):
    rng = np.random.default_rng(3)
    distances = np.array([rng.permutation(200) for _ in range(30)]).astype(dtype)
    search = Search(np.arange(30) % 9, rng.integers(0, 9, 200), same_camera="keep")
    expected = [
        average_precision_score(search.gallery_ids == person, -row.astype(float))
        for person, row in zip(search.query_ids, distances, strict=True)
    ]
    np.testing.assert_allclose(rank(distances, search).ap_step[:, 0], expected, atol=1e-9)


def test_the_trapezoid_is_never_above_the_step():
    ranking = rank(matrix(values=25), Search(*crowd(), same_camera="remove"))
    assert (ranking.ap_trapezoid <= ranking.ap_step)[ranking.relevant > 0].all()
    assert (ranking.ap_trapezoid[:, 1] <= ranking.ap_trapezoid[:, 0])[ranking.relevant > 0].all()


def features(dtype, queries=40, gallery=90, width=8, offset=0.0):
    rng = np.random.default_rng(5)
    return [(rng.normal(size=(n, width)) + offset).astype(dtype) for n in (queries, gallery)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_features_rank_by_their_distances(dtype, metric):
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
    """In float32 the squares, 8e6, would drown the differences."""
    query, gallery = features(np.float32, offset=1000.0)
    distances = np.linalg.norm(query[:, None].astype(float) - gallery, axis=2)
    search = Search(*crowd(), same_camera="remove")
    assert_equal_naive(rank(Features(query, gallery, "euclidean"), search), distances, search)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_cosine_knows_no_scale(scale):
    query, gallery = features(np.float32)
    search = Search(*crowd(), same_camera="keep")
    expected = rank(Features(query, gallery, "cosine"), search)
    found = rank(Features(query * np.float32(scale), gallery * np.float32(scale), "cosine"), search)
    np.testing.assert_array_equal(found.ap_step, expected.ap_step)


def test_equal_features_tie():
    query, gallery = features(np.float32, 4, 6)
    gallery[:] = gallery[0]
    search = Search(np.ones(4, int), np.array([1, 2, 2, 2, 2, 2]), same_camera="keep")
    for metric in ("euclidean", "cosine"):
        assert rank(Features(query, gallery, metric), search).first_rank.tolist() == [[1, 6]] * 4


def test_memory_does_not_grow_with_queries_times_gallery():
    """400 and 4,000 queries among 3,000 images: 4.8 and 48 MB of distances, of which 1 MiB is held at a time."""
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
    ("broken", "says"),
    [
        (lambda d, s: (d[:-1], s()), "distances .39, 90. of 40 queries to 90 gallery"),
        (lambda d, s: (d.T, s()), "distances .90, 40. of 40 queries"),
        (lambda d, s: (change(d, (7, 3), math.nan), s()), "query 7 to gallery image 3 is not finite"),
        (lambda d, s: (change(d, (39, 0), -math.inf), s()), "query 39 to gallery image 0 is not finite"),
        (lambda d, s: (d, s(query_ids=np.full(40, 99))), "none of the 40 queries has a match"),
        (lambda d, s: (d, s(query_ids=np.array([1] * 9 + [-1] * 31))), "query 9 has the identity -1 of junk"),
        (lambda d, s: (d, s(query_ids=np.ones(40))), "query ids have to be a row of integers"),
        (lambda d, s: (d, s(gallery_ids=np.ones((90, 1), int))), "gallery ids have to be a row of integers"),
        (lambda d, s: (d, s(gallery_ids=np.ones(0, int))), "gallery ids have to be a row of integers"),
        (lambda d, s: (d, s(query_cameras=None)), "needs the query cameras"),
        (lambda d, s: (d, s(gallery_cameras=None)), "needs the gallery cameras"),
        (lambda d, s: (d, s(gallery_cameras=np.ones(89, int))), "gallery cameras have to be integers"),
        (lambda d, s: (d, s(query_cameras=np.ones(40))), "query cameras have to be integers"),
        (lambda d, s: (d, s(same_camera="drop")), "no rule 'drop'"),
    ],
)
def test_nonsense_is_refused(broken, says):
    names = ("query_ids", "gallery_ids", "query_cameras", "gallery_cameras")
    known = {**dict(zip(names, crowd(), strict=True)), "same_camera": "remove"}
    with pytest.raises(FgbenchError, match=says):
        rank(*broken(matrix(), lambda **other: Search(**{**known, **other})))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda q, g: (q[:, 1:], g, "cosine"), "distances of query features .40, 7. to"),
        (lambda q, g: (q[0], g, "cosine"), "distances of query features .8,. to"),
        (lambda q, g: (q[:0], g, "cosine"), "distances of query features .0, 8. to"),
        (lambda q, g: (change(q, (4, 2), math.nan), g, "cosine"), "query 4 are not finite"),
        (lambda q, g: (q, change(g, (6, 0), math.inf), "euclidean"), "gallery 6 are not finite"),
        (lambda q, g: (q, change(g, 8, 0), "cosine"), "zero features of gallery 8"),
        (lambda q, g: (change(q, 2, 0), g, "cosine"), "zero features of query 2"),
        (lambda q, g: (q, g, "manhattan"), "no distance 'manhattan'"),
    ],
)
def test_nonsense_features_are_refused(broken, says):
    with pytest.raises(FgbenchError, match=says):
        Features(*broken(*features(np.float32)))


def test_features_too_large_for_their_precision_are_refused():
    query, gallery = features(np.float32)
    search = Search(*crowd(), same_camera="keep")
    with pytest.raises(FgbenchError, match="query 0 to gallery image 0 is not finite"), np.errstate(all="ignore"):
        rank(Features(query * np.float32(1e25), gallery * np.float32(1e25), "euclidean"), search)


def test_unknown_rules_are_refused():
    ranking = rank(*alone([1, 0]))
    with pytest.raises(FgbenchError, match="no rule 'best' for ties"):
        mean_inp(ranking, ties="best", no_match="skip")
    with pytest.raises(FgbenchError, match="no rule 'drop' for queries"):
        mean_inp(ranking, ties="mean", no_match="drop")
    with pytest.raises(FgbenchError, match="no average precision by 'square'"):
        mean_ap(ranking, rule="square", ties="mean", no_match="skip")
    with pytest.raises(FgbenchError, match="rank 1, not 0"):
        cmc(ranking.first_rank, 0, ties="mean", no_match="skip")
    with pytest.raises(FgbenchError, match="mean of optimistic and pessimistic"):
        cmc(ranking.first_rank[:, 0], 1, ties="mean", no_match="skip")
    with pytest.raises(FgbenchError, match="none of the 3 queries has a match"):
        average(np.full((3, 2), np.nan), ties="mean", no_match="skip")
    assert average(np.full((3, 2), np.nan), ties="mean", no_match="zero") == 0

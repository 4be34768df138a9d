import math

import numpy as np
import pytest
from searches import assert_equal_naive, crowd, matrix
from sklearn.metrics import average_precision_score

from fgbench.metrics.gallery import Search
from fgbench.metrics.ranking import average, cmc, rank

RULES = ("remove", "keep", "remove_camera")
CHOICES = [(ties, no_match) for ties in ("optimistic", "pessimistic", "mean") for no_match in ("skip", "zero")]


def one_query(matches, distances=None):
    """Return distances and search of one query whose gallery is in this order."""
    ids = np.where(np.array(matches, bool), 1, 2)
    row = np.arange(len(ids), dtype=float) if distances is None else np.array(distances, float)
    return row[None], Search(np.array([1]), ids, same_camera="keep")


@pytest.mark.parametrize("same_camera", RULES)
@pytest.mark.parametrize("values", [None, 25, 2])
@pytest.mark.parametrize("junk", [-1, None, 3])
def test_measures_equal_a_naive_reference(same_camera, values, junk):
    ids, gallery, cameras, gallery_cameras = crowd()
    ids[ids == 3] = 4
    search = Search(ids, gallery, cameras, gallery_cameras, same_camera=same_camera, junk=junk)
    distances = matrix(values=values)
    ranked = rank(distances, search)
    expected = assert_equal_naive(ranked, distances, search)
    none = expected[:, 0, 0] == 0
    assert 0 < none.sum() < 20
    assert ranked.tied.any() == (values is not None)
    for ties, no_match in CHOICES:
        of = {"optimistic": [0], "pessimistic": [1], "mean": [0, 1]}[ties]
        rows = expected[~none] if no_match == "skip" else np.nan_to_num(expected)
        rules = {"ties": ties, "no_match": no_match}
        assert average(ranked.ap_step, **rules) == pytest.approx(100 * rows[:, of, 2].mean())
        assert average(ranked.ap_trapezoid, **rules) == pytest.approx(100 * rows[:, of, 3].mean())
        assert average(ranked.inp, **rules) == pytest.approx(100 * rows[:, of, 4].mean())
        for k in (1, 5, 50):
            hits = rows[:, of, 1] <= k
            assert cmc(ranked.first_rank, k, **rules) == pytest.approx(100 * hits.mean())


def test_camera_rules_differ():
    results = [rank(matrix(), Search(*crowd(), same_camera=rule)) for rule in RULES]
    values = {average(r.ap_step, ties="mean", no_match="skip") for r in results}
    assert len(values) == 3


@pytest.mark.parametrize("block_mib", [1e-9, 90 * 4 * 7 / 2**20, 1])
@pytest.mark.parametrize("same_camera", RULES)
def test_block_size_has_no_effect(block_mib, same_camera):
    search, distances = Search(*crowd(), same_camera=same_camera), matrix(values=25)
    before = distances.copy()
    assert_equal_naive(rank(distances, search, block_mib=block_mib), distances, search)
    np.testing.assert_array_equal(distances, before)


@pytest.mark.parametrize("layout", ["columns first", "every second column", "file"])
def test_memory_layout_has_no_effect(tmp_path, layout):
    search, distances = Search(*crowd(), same_camera="remove"), matrix(values=25)
    if layout == "columns first":
        stored = np.asfortranarray(distances)
    elif layout == "every second column":
        stored = distances.repeat(2, axis=1)[:, ::2]
    else:
        np.save(tmp_path / "distances.npy", distances)
        stored = np.load(tmp_path / "distances.npy", mmap_mode="r")
    assert_equal_naive(rank(stored, search, block_mib=0.003), distances, search)


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
def test_small_rankings(matches, first, step, trapezoid, inp):
    ranked = rank(*one_query(matches))
    assert ranked.relevant.tolist() == [sum(matches)]
    assert ranked.first_rank.tolist() == [[first, first]]
    for values, value in ((ranked.ap_step, step), (ranked.ap_trapezoid, trapezoid), (ranked.inp, inp)):
        assert values[0].tolist() == pytest.approx([value, value], abs=1e-15)
    assert not ranked.tied.any()


def test_small_tie():
    """A match has the same distance as two negatives. The mean is that of the measures, not of the ranks 1 and 3."""
    ranked = rank(*one_query([0, 1, 0, 0], [5, 5, 5, 7]))
    assert ranked.first_rank.tolist() == [[1, 3]]
    np.testing.assert_allclose(ranked.ap_step, [[1, 1 / 3]])
    np.testing.assert_allclose(ranked.ap_trapezoid, [[1, 1 / 6]])
    assert ranked.tied_percent == 100
    at = [[cmc(ranked.first_rank, k, ties=t, no_match="skip") for k in (1, 2, 3)] for t in ("optimistic", "mean")]
    assert at == [[100, 100, 100], [50, 50, 100]]
    assert cmc(ranked.first_rank, 2, ties="pessimistic", no_match="skip") == 0
    assert average(ranked.ap_step, ties="mean", no_match="skip") == pytest.approx(200 / 3)


def test_ties_among_matches_or_among_negatives_have_no_effect():
    assert not rank(*one_query([1, 1, 0, 0], [1, 1, 2, 2])).tied.any()


def test_tie_with_removed_images_has_no_effect():
    """Junk and an image from the camera of the query have the same distance as the match."""
    search = Search(
        *(np.array(v) for v in ([1], [-1, 1, 1, 2], [0], [1, 0, 1, 1])),
        same_camera="remove",
    )
    ranked = rank(np.array([[0.0, 0, 0, 1]]), search)
    assert not ranked.tied.any()
    assert ranked.first_rank.tolist() == [[1, 1]]
    kept = rank(np.array([[0.0, 0, 0, 1]]), Search(search.query_ids, search.gallery_ids, same_camera="keep", junk=None))
    assert kept.relevant.tolist() == [2]
    assert kept.first_rank.tolist() == [[1, 2]]


def test_rules_for_queries_without_a_match():
    distances = np.array([[1.0, 2, 3], [1, 2, 3]])
    ranked = rank(distances, Search(np.array([1, 9]), np.array([1, 2, 3]), same_camera="keep"))
    assert ranked.relevant.tolist() == [1, 0]
    assert ranked.first_rank.tolist() == [[1, 1], [math.inf, math.inf]]
    for measure in (ranked.ap_step, ranked.ap_trapezoid, ranked.inp):
        assert np.isnan(measure).tolist() == [[False, False], [True, True]]
    for no_match, value in (("skip", 100), ("zero", 50)):
        rules = {"ties": "mean", "no_match": no_match}
        assert cmc(ranked.first_rank, 1, **rules) == value
        assert cmc(ranked.first_rank, 99, **rules) == value
        assert average(ranked.ap_trapezoid, **rules) == value
        assert average(ranked.inp, **rules) == value


def test_random_galleries_have_equal_weight():
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


def test_trapezoid_ap_is_never_above_step_ap():
    ranked = rank(matrix(values=25), Search(*crowd(), same_camera="remove"))
    assert (ranked.ap_trapezoid <= ranked.ap_step)[ranked.relevant > 0].all()
    assert (ranked.ap_trapezoid[:, 1] <= ranked.ap_trapezoid[:, 0])[ranked.relevant > 0].all()


def test_wrong_rules_raise():
    ranked = rank(*one_query([1, 0]))
    with pytest.raises(ValueError, match="the rule 'best' for ties is unknown"):
        average(ranked.inp, ties="best", no_match="skip")
    with pytest.raises(ValueError, match="the rule 'drop' for queries without a match is unknown"):
        average(ranked.inp, ties="mean", no_match="drop")
    with pytest.raises(ValueError, match="at least 1, not 0"):
        cmc(ranked.first_rank, 0, ties="mean", no_match="skip")
    with pytest.raises(ValueError, match="have to be optimistic and pessimistic"):
        cmc(ranked.first_rank[:, 0], 1, ties="mean", no_match="skip")
    with pytest.raises(ValueError, match="none of the 3 queries has a match"):
        average(np.full((3, 2), np.nan), ties="mean", no_match="skip")
    assert average(np.full((3, 2), np.nan), ties="mean", no_match="zero") == 0

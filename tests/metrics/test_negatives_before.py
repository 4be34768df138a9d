"""Counts of negatives before matches: every way of counting, and the choice among them."""

import numpy as np
import pytest
from searches import assert_equal_naive

from fgbench.metrics import negatives_before as module
from fgbench.metrics.gallery import Search
from fgbench.metrics.negatives_before import cheapest_way, negatives_before, way_costs
from fgbench.metrics.ranking import rank

WAYS = ("compare", "select and compare", "select and sort")


def naive(distances, match, negative):
    """Return the numbers of nearer and of at most as far negatives, one comparison after the other."""
    kept = [d for d, is_negative in zip(distances.tolist(), negative.tolist(), strict=True) if is_negative]
    return [sum(d < m for d in kept) for m in match.tolist()], [sum(d <= m for d in kept) for m in match.tolist()]


def counted(distances, match, negative):
    def keep_negatives(mask):
        mask &= negative

    nearer, not_farther = negatives_before(distances, match, keep_negatives)
    return nearer.tolist(), not_farther.tolist()


@pytest.fixture(params=[None, *WAYS])
def way(request, monkeypatch):
    """The chosen way, or each way whatever it costs."""
    if request.param:
        monkeypatch.setattr(module, "cheapest_way", lambda *sizes: request.param)
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(60))
def test_counts_equal_a_naive_reference(way, seed, dtype):
    """Sizes from one image, few to many matches, near and far matches, no to many ties, all to no negatives."""
    rng = np.random.default_rng(seed)
    images, matches = int(rng.choice([1, 2, 7, 8, 9, 63, 64, 65, 300, 1000])), int(rng.choice([1, 2, 3, 20, 200]))
    values = [2, 5, 1000, 2**24][seed % 4]
    distances = (rng.integers(-values, values + 1, images) / values).astype(dtype)
    reach = rng.choice([0.02, 0.1, 0.5, 1.0])
    match = np.sort((rng.integers(-values, 1 + int(values * (2 * reach - 1)), matches) / values).astype(dtype))
    negative = rng.random(images) < rng.choice([0.0, 0.5, 0.95, 1.0])
    before = distances.copy()
    assert counted(distances, match, negative) == naive(distances, match, negative)
    np.testing.assert_array_equal(distances, before)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.031, 0.06, 0.099, 0.11, 0.6, 1.0])
def test_selection_takes_exactly_the_near_negatives(way, share):
    """The share of selected images decides how NumPy lists them."""
    distances = np.random.default_rng(0).permutation(2000).astype(np.float32)
    match = np.linspace(-1, 2000 * share - 1, 30, dtype=np.float32).round()
    negative = np.arange(2000) % 97 > 0
    assert counted(distances, match, negative) == naive(distances, match, negative)


def test_values_next_to_each_other_are_no_ties(way):
    one = np.float32(1)
    below, above = np.nextafter(one, np.float32(0)), np.nextafter(one, np.float32(2))
    distances = np.array([below, one, one, above, -0.0, 0.0] * 20, dtype=np.float32)
    match = np.array([0.0, below, one, above], dtype=np.float32)
    assert counted(distances, match, np.ones(120, bool)) == ([0, 40, 60, 100], [40, 60, 100, 120])


def test_each_way_is_the_cheapest_of_some_query():
    """Few matches, some matches, many matches."""
    assert cheapest_way(20_000, 15_000, 3) == "compare"
    assert cheapest_way(20_000, 6_000, 8) == "select and compare"
    assert cheapest_way(20_000, 6_000, 80) == "select and sort"
    assert cheapest_way(20_000, 0, 80) == "select and sort"


def test_the_cost_is_linear_in_the_gallery():
    """Sorting costs n log n; it is chosen only if it costs less than the comparisons, whose cost is linear."""
    for matches in (1, 5, 20, 100, 1000):
        for share in (0.0, 0.05, 0.3, 1.0):
            for images in (10**4, 10**6, 10**12):
                cost = min(way_costs(images, int(share * images), matches).values())
                assert cost <= matches * (2 * images + module.CALLS)
                assert cost <= (module.SELECT + share * (module.TAKE + module.SORT * images.bit_length())) * images


@pytest.mark.parametrize("same_camera", ["remove", "keep", "remove_camera"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_a_ranking_uses_each_way(monkeypatch, same_camera, dtype):
    """Identities with 2 to 300 images; the last block has one query, the others two."""
    chosen = []
    monkeypatch.setattr(module, "CALLS", 0)  # a small gallery stands for a large one
    monkeypatch.setattr(module, "cheapest_way", lambda *sizes: (chosen.append(cheapest_way(*sizes)), chosen[-1])[1])
    rng = np.random.default_rng(1)
    gallery = rng.permutation(np.repeat([1, 2, 3, 4, -1, 0, 5], [2, 4, 12, 300, 50, 1000, 632]))
    ids = np.array([1, 2, 3, 4, 6, 3, 1, 5, 4])
    search = Search(ids, gallery, rng.integers(0, 3, 9), rng.integers(0, 3, 2000), same_camera=same_camera)
    distances = rng.integers(0, 900, (9, 2000))
    distances[:, (gallery > 0) & (gallery < 4)] //= 3
    ranked = rank(distances.astype(dtype), search, block_mib=2 * 2000 * 4 / 2**20)
    assert_equal_naive(ranked, distances, search)
    assert ranked.tied.any()
    assert set(chosen) == set(WAYS)

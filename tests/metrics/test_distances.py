import numpy as np
import pytest

from fgbench.metrics.distances import distances
from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import rank


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_distances_in_chunks_give_the_same_order(metric):
    rng = np.random.default_rng(0)
    descriptors = (rng.normal(size=(40, 50)) + 3).astype(np.float32)
    q, g = np.arange(10), np.arange(10, 40)
    ids = rng.integers(0, 4, 40)
    search = Search(ids[q], ids[g], same_camera="keep")
    expected = rank(Features(descriptors[q], descriptors[g], metric), search)
    result = rank(distances(descriptors, q, g, metric, chunk=7), search)
    assert np.array_equal(expected.ap_step, result.ap_step)
    descriptors[3] = np.nan
    with pytest.raises(ValueError, match="descriptor 3 is zero or not finite"):
        distances(descriptors, q, g, metric)
    descriptors[3] = 0
    if metric == "cosine":
        with pytest.raises(ValueError, match="descriptor 3 is zero or not finite"):
            distances(descriptors, q, g, metric)

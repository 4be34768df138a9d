"""Re-identification at the sizes of Market-1501 and MSMT17, compared with torchreid's Cython and scikit-learn.

No package contains the compiled evaluation of torchreid: set FGBENCH_TORCHREID to a checkout of
KaiyangZhou/deep-person-reid.
"""

import importlib
import json
import os
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from race import FGBENCH, Floor, Race, run_alone

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import average, cmc, rank

MARKET = 3_368, 19_732, 751
"""Queries, gallery images, identities. One seventh of the gallery images are distractors."""
MSMT = 11_659, 82_161, 3_060
WIDTH = 512
TORCHREID = "torchreid's Cython"
SCIKIT = "scikit-learn average_precision_score"
SCIKIT_QUERIES = 100


def problem(queries, gallery, people):
    """Return features with one mean per identity plus noise, and a search with six cameras."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, people, queries), rng.integers(1, people, gallery)
    ids[1][: gallery // 7] = 0
    search = Search(*ids, rng.integers(0, 6, queries), rng.integers(0, 6, gallery), same_camera="remove")
    means = rng.normal(size=(people, WIDTH)).astype(np.float32)
    sides = [0.4 * means[side] + rng.standard_normal((len(side), WIDTH), np.float32) for side in ids]
    return Features(*sides, "euclidean"), search


@cache
def market():
    """Return distances and the search."""
    features, search = problem(*MARKET)
    left, right = features.factors()
    return left @ right.T, search


def fgbench_entrant():
    distances, search = market()
    return lambda: rank(distances, search)


def torchreid():
    folder = os.environ.get("FGBENCH_TORCHREID")
    if not folder:
        pytest.skip("FGBENCH_TORCHREID is not set to a checkout of KaiyangZhou/deep-person-reid")
    source = Path(folder) / "torchreid" / "metrics" / "rank_cylib"
    if not (source / "rank_cy.pyx").is_file():
        pytest.skip(f"{source} has no rank_cy.pyx")
    pytest.importorskip("pyximport").install(
        setup_args={"include_dirs": np.get_include()}, build_dir=tempfile.mkdtemp(prefix="fgbench-cython-")
    )
    sys.path.insert(0, str(source))
    try:
        evaluate = importlib.import_module("rank_cy").evaluate_cy
    finally:
        sys.path.remove(str(source))
    distances, search = market()
    labels = search.query_ids, search.gallery_ids, search.query_cameras, search.gallery_cameras
    return lambda: evaluate(distances, *labels, 50)


def scikit_learn():
    """Return the average precision of scikit-learn, one query at a time."""
    score = pytest.importorskip("sklearn.metrics").average_precision_score
    distances, search = market()

    def work():
        values = []
        for row, person, camera in zip(
            distances[:SCIKIT_QUERIES],
            search.query_ids[:SCIKIT_QUERIES],
            search.query_cameras[:SCIKIT_QUERIES],
            strict=True,
        ):
            same = search.gallery_ids == person
            keep = ~(same & (search.gallery_cameras == camera))
            values.append(score(same[keep], -row[keep]))
        return np.array(values)

    return work


def agree(ranking, peer_result):
    if isinstance(peer_result, np.ndarray):
        assert np.allclose(ranking.ap_step[:SCIKIT_QUERIES].mean(axis=1), peer_result, atol=1e-6)
        return
    curve, ap = peer_result
    assert abs(average(ranking.ap_step, ties="mean", no_match="skip") - 100 * ap) < 1e-3  # torchreid uses float32
    for place in (1, 5, 20):
        value = cmc(ranking.first_rank, place, ties="mean", no_match="skip")
        assert abs(value - 100 * curve[place - 1]) < 1e-3


GIVEN = Race(
    "CMC and mAP, 3,368 x 19,732, distances given",
    {FGBENCH: fgbench_entrant, TORCHREID: torchreid, SCIKIT: scikit_learn},
    at_least={TORCHREID: 15},
    at_most_s=0.5,
    agree=agree,
    rounds=7,
    peer_rounds={TORCHREID: 3, SCIKIT: 1},
    parts={SCIKIT: SCIKIT_QUERIES / MARKET[0]},
    floor=Floor(moved_bytes=4 * MARKET[0] * MARKET[1], counts="the distances read once"),
)


@pytest.mark.parametrize("who", GIVEN.names)
def test_ranking(row, who):
    row(GIVEN, who)


def with_distances():
    features, search = problem(*MARKET)
    return lambda: rank(features, search)


WHOLE = Race(
    "CMC and mAP, 3,368 x 19,732 x 512, with distances",
    {FGBENCH: with_distances},
    rounds=3,
    floor=Floor(flop=2 * MARKET[0] * MARKET[1] * WIDTH, counts="the inner products"),
)


@pytest.mark.parametrize("who", WHOLE.names)
def test_ranking_with_distances(row, who):
    row(WHOLE, who)


def msmt17():
    """Print the time and the peak memory of one ranking, including features, in a process of its own."""
    features, search = problem(*MSMT)
    start = time.perf_counter()
    ranking = rank(features, search)
    rank_s = time.perf_counter() - start
    # ru_maxrss would start at the memory of the parent process.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    ap = average(ranking.ap_step, ties="mean", no_match="skip")
    print(json.dumps({"rank_s": rank_s, "peak_mib": int(status["VmHWM"].split()[0]) / 2**10, "map": ap}))


LARGE = Race(
    "CMC and mAP, 11,659 x 82,161 x 512, with distances",
    {FGBENCH: lambda: partial(run_alone, __file__)},
    at_most_s=15,
    values=lambda result: result,
    values_at_most={"peak_mib": 1e9 / 2**20},
    rounds=1,
    warm=False,
    threads=2,
    floor=Floor(flop=2 * MSMT[0] * MSMT[1] * WIDTH, counts="the inner products"),
)


@pytest.mark.parametrize("who", LARGE.names)
def test_ranking_msmt17(row, who):
    """Time a process of its own, including its start and its data; its peak memory is that of the ranking."""
    row(LARGE, who)


if __name__ == "__main__":
    msmt17()

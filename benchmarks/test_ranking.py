"""Re-identification at the sizes of Market-1501 and MSMT17, beside torchreid's Cython and scikit-learn.

torchreid's compiled evaluation is in no package: point FGBENCH_TORCHREID at a checkout of KaiyangZhou/deep-person-reid.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from race import OURS, Floor, Race

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import cmc, mean_ap, rank

MARKET = 3_368, 19_732, 751
"""Queries, gallery images, identities. A seventh of the gallery are distractors."""
MSMT = 11_659, 82_161, 3_060
WIDTH = 512
TORCHREID = "torchreid's Cython"
SCIKIT = "scikit-learn average_precision_score"
SCIKIT_QUERIES = 100


def problem(queries, gallery, people):
    """Features of one mean an identity and noise, from six cameras."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, people, queries), rng.integers(1, people, gallery)
    ids[1][: gallery // 7] = 0
    search = Search(*ids, rng.integers(0, 6, queries), rng.integers(0, 6, gallery), same_camera="remove")
    means = rng.normal(size=(people, WIDTH)).astype(np.float32)
    sides = [0.4 * means[side] + rng.standard_normal((len(side), WIDTH), np.float32) for side in ids]
    return Features(*sides, "euclidean"), search


@cache
def market():
    """Distances and who is searched for."""
    features, search = problem(*MARKET)
    left, right = features.factors()
    return left @ right.T, search


def ours():
    given, search = market()
    return lambda: rank(given, search)


def torchreid():
    folder = os.environ.get("FGBENCH_TORCHREID")
    if not folder:
        pytest.skip("FGBENCH_TORCHREID names no checkout of KaiyangZhou/deep-person-reid")
    source = Path(folder) / "torchreid" / "metrics" / "rank_cylib"
    if not (source / "rank_cy.pyx").is_file():
        pytest.skip(f"{source} holds no rank_cy.pyx")
    pytest.importorskip("pyximport").install(
        setup_args={"include_dirs": np.get_include()}, build_dir=tempfile.mkdtemp(prefix="fgbench-cython-")
    )
    sys.path.insert(0, str(source))
    try:
        evaluate = importlib.import_module("rank_cy").evaluate_cy
    finally:
        sys.path.remove(str(source))
    given, search = market()
    who = search.query_ids, search.gallery_ids, search.query_cameras, search.gallery_cameras
    return lambda: evaluate(given, *who, 50)


def scikit_learn():
    """A query at a time."""
    score = pytest.importorskip("sklearn.metrics").average_precision_score
    given, search = market()

    def work():
        values = []
        for row, person, camera in zip(
            given[:SCIKIT_QUERIES],
            search.query_ids[:SCIKIT_QUERIES],
            search.query_cameras[:SCIKIT_QUERIES],
            strict=True,
        ):
            same = search.gallery_ids == person
            keep = ~(same & (search.gallery_cameras == camera))
            values.append(score(same[keep], -row[keep]))
        return np.array(values)

    return work


def agree(ranking, theirs):
    if isinstance(theirs, np.ndarray):
        assert np.allclose(ranking.ap_step[:SCIKIT_QUERIES].mean(axis=1), theirs, atol=1e-6)
        return
    curve, ap = theirs
    assert abs(mean_ap(ranking, rule="step", ties="mean", no_match="skip") - 100 * ap) < 1e-3  # theirs is float32
    for place in (1, 5, 20):
        value = cmc(ranking.first_rank, place, ties="mean", no_match="skip")
        assert abs(value - 100 * curve[place - 1]) < 1e-3


GIVEN = Race(
    "CMC and mAP, 3,368 x 19,732, distances given",
    {OURS: ours, TORCHREID: torchreid, SCIKIT: scikit_learn},
    at_least={TORCHREID: 5},
    at_most_s=0.5,
    agree=agree,
    rounds=7,
    peer_rounds={TORCHREID: 3, SCIKIT: 3},
    parts={SCIKIT: SCIKIT_QUERIES / MARKET[0]},
    floor=Floor(moved_bytes=4 * MARKET[0] * MARKET[1], says="the distances read once"),
)


@pytest.mark.parametrize("who", GIVEN.names)
def test_ranking(row, who):
    row(GIVEN, who)


def with_distances():
    features, search = problem(*MARKET)
    return lambda: rank(features, search)


WHOLE = Race(
    "CMC and mAP, 3,368 x 19,732 x 512, with distances",
    {OURS: with_distances},
    rounds=3,
    floor=Floor(flop=2 * MARKET[0] * MARKET[1] * WIDTH, says="the inner products"),
)


@pytest.mark.parametrize("who", WHOLE.names)
def test_ranking_with_distances(row, who):
    row(WHOLE, who)


def msmt17():
    """Prints the memory of one ranking in a process that does nothing else, features counted."""
    features, search = problem(*MSMT)
    start = time.perf_counter()
    ranking = rank(features, search)
    taken = time.perf_counter() - start
    # Not ru_maxrss: of a process started by another, that begins at the memory of the latter.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    ap = mean_ap(ranking, rule="step", ties="mean", no_match="skip")
    print(json.dumps({"rank_s": taken, "peak_mib": int(status["VmHWM"].split()[0]) / 2**10, "map": ap}))


def msmt17_alone():
    def work():
        ran = subprocess.run([sys.executable, __file__], capture_output=True, check=True)
        return json.loads(ran.stdout)

    return work


LARGE = Race(
    "CMC and mAP, 11,659 x 82,161 x 512, with distances",
    {OURS: msmt17_alone},
    at_most_s=60,
    rounds=1,
    warm=False,
    threads=2,
    floor=Floor(flop=2 * MSMT[0] * MSMT[1] * WIDTH, says="the inner products"),
)


@pytest.mark.parametrize("who", LARGE.names)
def test_ranking_msmt17(row, benchmark, who):
    """In a process of its own, whose peak memory is that of the ranking; its start and its data are timed, too."""
    row(LARGE, who)
    if LARGE.outcome:
        found = LARGE.outcome.results[OURS]
        benchmark.extra_info |= found
        assert found["peak_mib"] < 1.5e9 / 2**20


if __name__ == "__main__":
    msmt17()

"""Bounds of runs whose values depend on the seed, and bounds that were measured with other code."""

import numpy as np
import pytest
from made_records import Kept
from recompressed_runs import FIXED, RIGHT, N, bounds_of, changed, interval, one_bound, run_at, series
from scipy import stats

from fgbench.judge.compression_effects import measure
from fgbench.judge.sensitivity import bound_for, find_bounds

TRAINED = {}
"""Settings of a recipe that trains a network."""


def trained(hits, **fields):
    """Return runs whose values depend on the seed.

    Args:
        hits: quality -> seed -> number of correctly classified images; None stands for the plain runs.
        fields: of the records.
    """
    return [
        run_at(np.arange(N) < number, quality, seed, changes=TRAINED, **fields)
        for quality, of_seeds in hits.items()
        for seed, number in of_seeds.items()
    ]


def test_the_spread_over_seeds_is_pooled_over_plain_runs_and_qualities():
    hits = {None: {0: 700, 1: 706}, 75: {0: 699, 1: 701}, 30: {0: 690, 1: 686}}
    found = one_bound(*trained(hits))
    variance = 0.01 * sum((a - b) ** 2 / 2 for a, b in ((700, 706), (699, 701), (690, 686))) / 3
    (at_75, at_30) = found.effects
    assert [at_75.value, at_30.value] == pytest.approx([-0.3, -1.5])
    # Images: mean over the seeds of the differences of each image.
    shares = [
        np.mean([(np.arange(N) < hits[q][s]) * 1.0 - (np.arange(N) < hits[None][s]) for s in (0, 1)], 0)
        for q in (75, 30)
    ]
    for effect, share in zip(found.effects, shares, strict=True):
        padded = np.concatenate([share, [0.0, 0.5**0.5, -(0.5**0.5)]])
        centre = 100 * padded.sum() / (N + 2)
        of_images = 1e4 * ((padded**2).sum() / (N + 2) - (centre / 100) ** 2) / (N + 2)
        level = 1 - 0.025 / 2
        half = (of_images * stats.t.ppf(level, N - 1) ** 2 + variance * stats.t.ppf(level, 3) ** 2) ** 0.5
        assert effect.interval == pytest.approx((centre - half, centre + half))
        assert effect.error == pytest.approx((of_images + variance) ** 0.5)
    assert found.bound == pytest.approx(-at_30.interval.low)


def test_one_seed_has_no_bound_since_it_does_not_show_the_spread():
    hits = {None: {0: 700}, 75: {0: 699}, 30: {0: 690}}
    pairs = trained(hits)
    (measurement,) = measure([record for record, _ in pairs], Kept(*pairs))
    assert measurement.seeds_unknown
    assert len(measurement.effects) == 2
    assert bounds_of(*pairs) == {}


def test_seeds_of_plain_runs_alone_show_the_spread_also_with_other_code():
    pairs = trained({None: {0: 700}, 75: {0: 699}, 30: {0: 690}})
    earlier = trained({None: {0: 700, 1: 704, 2: 696}}, provenance={"source": "earlier"})
    found = one_bound(*pairs, *earlier)
    # The variance between seeds is 0.16, and the difference of two single runs has twice this.
    assert found.effects[1].interval == pytest.approx(interval(10, 0, 2, spread=[(0.32, 2)]))
    assert not set(found.run_ids) & {record.run_id for record, _ in earlier}


def test_equal_values_of_two_seeds_are_no_proof_that_there_is_no_spread():
    found = one_bound(*trained({None: {0: 700, 1: 700}, 75: {0: 700, 1: 700}, 30: {0: 700, 1: 700}}))
    assert found.bound == pytest.approx(interval(0, 0, 2, spread=[(0.01 / 12, 3)])[1])


def test_only_seeds_of_both_sides_are_compared():
    hits = {None: {0: 700, 1: 704}, 75: {1: 699, 2: 600}, 30: {0: 690, 1: 688, 7: 100}}
    (at_75, at_30) = one_bound(*trained(hits)).effects
    assert at_75.value == pytest.approx(-0.5)
    assert at_30.value == pytest.approx(-1.3)
    assert (len(at_75.run_ids), len(at_30.run_ids)) == (1, 2)
    none_shared = trained({None: {0: 700, 1: 704}, 75: {2: 600}, 30: {3: 600}})
    assert bounds_of(*none_shared) == {}


def test_of_a_run_and_its_repetition_the_first_counts():
    early, late = ({"finished": f"2026-01-0{day}"} for day in (1, 2))
    pairs = series({75: (1, 0), 30: (20, 0)}, provenance=early)
    repeated = run_at(changed(500), 30, changes=FIXED, provenance=late)
    for several in ([*pairs, repeated], [repeated, *pairs]):
        assert one_bound(*several) == one_bound(*pairs)


def test_a_bound_of_other_code_is_used_and_the_text_says_so():
    pairs = series({75: (1, 0), 30: (20, 0)}, provenance={"source": "a", "finished": "2026-01-01"})
    (other, _) = run_at(RIGHT, changes=FIXED, provenance={"source": "b"})
    bounds = bounds_of(*pairs)
    same, differing = bound_for([pairs[0][0]], "accuracy", bounds), bound_for([other], "accuracy", bounds)
    assert differing.bound == same.bound
    assert "other code, libraries or device" not in same.text
    assert differing.text == f"{same.text} The runs of the bound have other code, libraries or device than this run."


def test_a_bound_of_the_same_code_is_preferred_then_the_latest():
    groups = [
        series({75: (1, 0), 30: (images, 0)}, provenance={"source": code, "finished": f"2026-01-0{day}"})
        for code, day, images in (("a", 3, 10), ("b", 2, 20), ("c", 1, 30))
    ]
    pairs = [pair for group in groups for pair in group]
    bounds = find_bounds([record for record, _ in pairs], Kept(*pairs))
    assert len(bounds) == 3
    effects = [bound_for([group[0][0]], "accuracy", bounds).effects[1].value for group in groups]
    assert effects == pytest.approx([-1.0, -2.0, -3.0])
    (other, _) = run_at(RIGHT, changes=FIXED, provenance={"source": "d"})
    assert bound_for([other], "accuracy", bounds).effects[1].value == pytest.approx(-1.0)


def test_a_mean_over_splits_has_no_bound():
    pairs = series({75: (1, 0), 30: (20, 0)}, split="1")
    (other, _) = run_at(RIGHT, None, 1, changes=FIXED, split="2")
    assert bound_for([pairs[0][0]], "accuracy", bounds_of(*pairs))
    assert bound_for([pairs[0][0], other], "accuracy", bounds_of(*pairs)) is None

"""Claims on person searches, whose seeds use random splits."""

import numpy as np
import pytest
from made_records import RECIPES, Kept, made

from fgbench.judge.claims import check_claims
from fgbench.judge.run_pairs import ClaimState
from fgbench.papers.printed import Claim, load_papers

PAPER = load_papers()["bcnn"]


def claim(*order, **fields):
    return Claim.model_validate({"id": "c", "text": "A is ahead.", "source": "s", "order": order, **fields})


def one(*pairs, claims):
    kept = Kept(*pairs)
    (found,) = check_claims({"bcnn": PAPER.model_copy(update={"claims": claims})}, kept.records, kept, RECIPES)
    return found


def searches(recipe, shift, seed, split):
    """Ranks of queries whose split goes with the seed."""
    rng = np.random.default_rng([seed, shift])
    who = np.random.default_rng(seed).permutation(200)[:100]
    first = 1.0 + (np.random.default_rng(who).random(100) * 4 + rng.random(100) > shift)
    ranks = np.stack([first, first], axis=1)
    arrays = {
        "ids": who, "identities": who, "cameras": who, "split": np.full(100, split), "relevant": np.ones(100, int),
        "tied": np.zeros(100, bool), "first_rank": ranks, "ap_step": 1 / ranks, "ap_trapezoid": 1 / ranks,
        "inp": 1 / ranks, "ties": np.array("mean"), "no_match": np.array("skip"),
    }  # fmt: skip
    protocol = {"train_images": 1000, "test_images": 200}
    return made(recipe, seed, arrays=arrays, data="viper", split=split, protocol=protocol), arrays


def test_searches_are_compared_by_query_and_over_divisions():
    order = ("where_to_focus/spatial_lstm_dm", "where_to_focus/bcnn_dm")
    keys = [f"{name}@viper" for name in order]
    if not set(keys) <= set(RECIPES):
        order = tuple(sorted({r.name for r in RECIPES.values() if r.settings.data == "viper"})[:2])
        keys = [f"{name}@viper" for name in order]
    rate = claim(*order, data="viper", metric="cmc", params={"rank": 1})
    alone = one(searches(keys[0], 4, 0, "1a"), searches(keys[1], 2, 0, "1a"), claims=[rate])
    assert alone.state == ClaimState.UNDECIDED  # one random split
    assert "McNemar" in alone.pairs[0].difference.test
    precision = claim(*order, data="viper", metric="map")
    alone = one(searches(keys[0], 4, 0, "1a"), searches(keys[1], 2, 0, "1a"), claims=[precision])
    assert "permutation" in alone.pairs[0].difference.test
    several = [searches(key, shift, k, f"{k}a") for key, shift in zip(keys, (4, 2), strict=True) for k in range(8)]
    found = one(*several, claims=[rate])
    assert "corrected resampled t test" in found.text
    assert found.pairs[0].difference.n == 800
    assert found.state == ClaimState.HOLDS
    assert one(*several[:1], *several[9:10], claims=[rate]).state == ClaimState.NOT_COMPARABLE


@pytest.mark.parametrize(("first", "second", "shared"), [(range(3), range(2, 5), 1), (range(4), range(2, 6), 2)])
def test_seeds_on_splits_that_one_side_lacks_do_not_count(first, second, shared):
    order = ("where_to_focus/spatial_lstm_dm", "where_to_focus/bcnn_dm")
    runs = [
        searches(f"{name}@viper", shift, k, f"{k}a")
        for name, shift, seeds in zip(order, (4, 2), (first, second), strict=True)
        for k in seeds
    ]
    found = one(*runs, claims=[claim(*order, data="viper", metric="cmc", params={"rank": 1})])
    assert found.state == ClaimState.UNDECIDED
    assert found.pairs[0].seeds == (shared, shared)
    assert found.pairs[0].too_few == order

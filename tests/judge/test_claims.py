import numpy as np
import pytest
from made_records import RECIPES, Kept, deviation, of_right, untrained

from fgbench.judge.anomaly import Anomaly
from fgbench.judge.claims import check_claims
from fgbench.judge.run_pairs import ClaimState
from fgbench.papers.printed import Claim, load_papers
from fgbench.statistics import holm, mcnemar
from fgbench.util.errors import Obstacle

PAPER = load_papers()["bcnn"]
N = 800
A, B, C = (f"bcnn/{name}" for name in ("bcnn_dd", "bcnn_dm", "fc_cnn_d"))
FIXED = {f"{name}@cub": untrained(f"{name}@cub") for name in (A, B, C, f"{A}_box", "bcnn/bcnn_mm", "bcnn/fc_cnn_m")}
"""Recipes that use no random numbers, so that one run is a side of a claim."""


def claim(*order, **fields):
    base = {"id": "c", "text": "A is ahead.", "source": "s", "data": "cub", "metric": "accuracy", "order": order}
    return Claim.model_validate({**base, **fields})


def paper(*claims):
    return {"bcnn": PAPER.model_copy(update={"claims": claims})}


def right(share, seed, n=N, hardness=None):
    hard = np.random.default_rng(0).random(n) if hardness is None else hardness
    noise = np.random.default_rng(100 + seed).normal(0, 0.05, n)
    return hard + noise < share


def side(recipe, share, seed=0, n=N, **fields):
    number = seed + 50 * [A, B, C].index(recipe) if recipe in (A, B, C) else seed
    settings = FIXED[f"{recipe}@cub"].settings.model_dump(mode="json")
    return of_right(right(share, number, n), f"{recipe}@cub", seed, **{"settings": settings, **fields})


def trained(recipe, shares, **fields):
    """Return one run a seed of a recipe that uses random numbers."""
    settings = RECIPES[f"{recipe}@cub"].settings.model_dump(mode="json")
    return [side(recipe, share, seed, settings=settings, **fields) for seed, share in enumerate(shares)]


def check(*pairs, claims=None, recipes=None):
    kept = Kept(*pairs)
    return check_claims(paper(*(claims or [claim(A, B, C)])), kept.records, kept, recipes or {**RECIPES, **FIXED})


def one(*pairs, **fields):
    (found,) = check(*pairs, **fields)
    return found


def test_an_order_of_one_seed_each_holds_by_mcnemar():
    found = one(side(A, 0.8), side(B, 0.7), side(C, 0.6))
    assert found.state == ClaimState.HOLDS
    first, second = found.pairs
    assert (first.better, first.worse) == ("B-CNN [D,D]", "B-CNN [D,M]")
    rights = [right(share, 50 * k) for k, share in enumerate((0.8, 0.7, 0.6))]
    p = [mcnemar(rights[0], rights[1]).p, mcnemar(rights[1], rights[2]).p]
    assert [first.p, second.p] == pytest.approx(holm(p))
    assert first.difference.value == pytest.approx(100 * (rights[0].mean() - rights[1].mean()))
    assert first.difference.interval.low < first.difference.value < first.difference.interval.high
    assert first.difference.n == N
    for words in ("points", "95 % interval", "800 samples", "McNemar's exact test"):
        assert words in found.text
    assert {r.recipe for r in found.records} == {f"{name}@cub" for name in (A, B, C)}


def test_a_reversed_order_is_contradicted_and_an_even_one_undecided():
    assert one(side(A, 0.7), side(B, 0.8), side(C, 0.6)).state == ClaimState.CONTRADICTED
    even = one(side(A, 0.7), side(B, 0.699), side(C, 0.6))
    assert even.state == ClaimState.UNDECIDED
    assert [pair.state for pair in even.pairs] == [ClaimState.UNDECIDED, ClaimState.HOLDS]


def test_an_order_of_means_without_significance_is_undecided():
    found = one(side(A, 0.72), side(B, 0.705), side(C, 0.69))
    means = [r.values["accuracy"].value for r in found.records]
    assert means == sorted(means, reverse=True)
    assert found.state == ClaimState.UNDECIDED


def test_several_seeds_are_tested_with_their_spread():
    def order(first, second):
        return one(*trained(A, first), *trained(B, second), claims=[claim(A, B)], recipes=RECIPES)

    steady = order([0.8, 0.81, 0.8, 0.8, 0.81], [0.7, 0.71, 0.7, 0.7, 0.71])
    assert steady.state == ClaimState.HOLDS
    assert steady.pairs[0].seeds == (5, 5)
    assert "images and seeds" in steady.text
    looks = 5 * (1 + np.log2(5 / 3))  # a look after every seed
    assert steady.pairs[0].p == pytest.approx(looks * steady.pairs[0].difference.p)
    lucky = order([0.8, 0.6, 0.7, 0.75, 0.7], [0.7, 0.6, 0.65, 0.7, 0.7])
    assert lucky.state == ClaimState.UNDECIDED


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 5), (5, 1)])
def test_a_side_with_few_trainings_decides_nothing(first, second):
    """One training a side found an order of equal methods in a third of the cases."""
    few = one(*trained(A, [0.9] * first), *trained(B, [0.5] * second), claims=[claim(A, B)], recipes=RECIPES)
    assert few.state == ClaimState.UNDECIDED
    (pair,) = few.pairs
    assert pair.too_few == tuple(name for name, seeds in ((A, first), (B, second)) if seeds < 3)
    names = " and ".join(pair.too_few)
    assert f"points ({first} and {second} seeds; a test needs at least 3 seeds of {names})" in few.text


def test_a_side_without_random_numbers_has_no_spread_over_seeds():
    many = trained(A, [0.8, 0.81, 0.8])
    fixed = one(*many, side(C, 0.7), claims=[claim(A, C)]).pairs[0].difference.interval
    spread = one(*many, *trained(C, [0.7]), claims=[claim(A, C)]).pairs[0].difference.interval
    assert fixed.high - fixed.low < spread.high - spread.low


def test_without_a_side_it_is_not_run_and_controls_are_no_side():
    found = one(side(A, 0.8), side(B, 0.7))
    assert (found.state, found.text) == (ClaimState.NOT_RUN, "there is no record of bcnn/fc_cnn_d@cub")
    control = side(C, 0.6, protocol={"control": "shuffled training labels"})
    assert one(side(A, 0.8), side(B, 0.7), control).state == ClaimState.NOT_RUN


def test_a_side_that_cannot_run_here_blocks_the_claim_and_is_named_with_its_data():
    obstacles = {f"{name}@cub": Obstacle(f"weights: {name} needs a file", "fgbench weights get it") for name in (B, C)}
    kept = Kept(side(A, 0.8), side(B, 0.7))

    def states(*claims):
        found = check_claims(paper(*claims), kept.records, kept, {**RECIPES, **FIXED}, obstacles=obstacles)
        return [(result.state, result.text, result.measured) for result in found]

    missing = f"there is no record of {C}@cub"
    reason = f"{C}@cub: weights: {C} needs a file"
    assert states(claim(A, B, C)) == [(ClaimState.BLOCKED, f"{missing}; {reason}", False)]
    # An obstacle of a recipe that has records does not matter, nor that of another data set.
    assert states(claim(A, B))[0][0] == ClaimState.HOLDS
    assert states(claim(A, B))[0][2]
    elsewhere = f"there is no record of {A}@cars, {C}@cars"
    assert states(claim(A, C, data="cars")) == [(ClaimState.NOT_RUN, elsewhere, False)]


def test_sides_of_two_protocols_are_not_compared_and_the_difference_is_reported():
    found = one(side(A, 0.8), side(B, 0.7, protocol={"images": "others"}), side(C, 0.6))
    assert found.state == ClaimState.NOT_COMPARABLE
    assert "images: i or others" in found.text
    assert not found.pairs
    profiles = one(side(A, 0.8), side(B, 0.7, profile="frozen"), side(C, 0.6))
    assert (profiles.state, profiles.text) == (ClaimState.NOT_COMPARABLE, "the methods have no common profile")


def test_a_claim_across_annotations_ignores_their_field():
    boxed = f"{A}_box"
    pairs = side(boxed, 0.8, protocol={"test_sees": []}), side(B, 0.7)
    assert one(*pairs, claims=[claim(boxed, B)]).state == ClaimState.NOT_COMPARABLE
    across = one(*pairs, claims=[claim(boxed, B, across=["train_sees"])])
    assert across.order == ClaimState.HOLDS
    assert one(*pairs, claims=[claim(boxed, B, across=["test_sees"])]).state == ClaimState.NOT_COMPARABLE


def test_other_test_images_are_not_compared():
    found = one(side(A, 0.8), side(B, 0.7, ids=np.arange(N) + 1), claims=[claim(A, B)])
    assert found.state == ClaimState.NOT_COMPARABLE
    assert "not measured on the same images" in found.text


def test_deviations_of_one_side_prevent_the_comparison_and_shared_ones_are_reported():
    frozen = deviation("stages", run="none")
    alike = one(*(side(name, share, deviations=[frozen]) for name, share in ((A, 0.8), (B, 0.7))), claims=[claim(A, B)])
    assert alike.state == ClaimState.HOLDS
    assert alike.text.endswith("all methods differ from their recipes in stages")
    uneven = one(side(A, 0.8, deviations=[frozen]), side(B, 0.7), claims=[claim(A, B)])
    assert uneven.state == ClaimState.NOT_COMPARABLE
    assert uneven.order == ClaimState.HOLDS
    assert (
        "the methods differ from their recipes in different ways: bcnn/bcnn_dd in stages; as run, the order holds"
        in uneven.text
    )
    values = one(
        side(A, 0.8, deviations=[deviation("size", run=1)]), side(B, 0.7, deviations=[deviation("size", run=2)]),
        claims=[claim(A, B)],
    )  # fmt: skip
    assert values.state == ClaimState.NOT_COMPARABLE
    small = one(side(A, 0.8, deviations=[deviation("precision", changes=False)]), side(B, 0.7), claims=[claim(A, B)])
    assert small.state == ClaimState.HOLDS


def test_another_weight_file_counts_once_for_all_streams():
    one_file = [deviation("weights.1", run="vgg16.torchvision for vgg16:relu5_3")]
    same_file = [deviation("weights.0", run="vgg16.torchvision for vgg16:fc7")]
    other = [deviation("weights.0", run="vgg16.caffe for vgg16:fc7")]
    assert (
        one(side(A, 0.8, deviations=one_file), side(B, 0.7, deviations=same_file), claims=[claim(A, B)]).state
        == "holds"
    )
    found = one(side(A, 0.8, deviations=one_file), side(B, 0.7, deviations=other), claims=[claim(A, B)])
    assert found.state == ClaimState.NOT_COMPARABLE


def test_an_unlisted_deviation_prevents_the_comparison():
    settings = {**FIXED[f"{B}@cub"].settings.model_dump(mode="json"), "mirror": False}
    hidden = one(side(A, 0.8), side(B, 0.7, settings=settings), claims=[claim(A, B)])
    assert hidden.state == ClaimState.NOT_COMPARABLE
    assert "bcnn/bcnn_dm in mirror" in hidden.text


def test_a_claim_with_an_invalid_run_is_not_comparable():
    kept = Kept(side(A, 0.8), side(B, 0.7))
    for kind, state in (("identical", ClaimState.NOT_COMPARABLE), ("chance", ClaimState.HOLDS)):
        anomalies = {kept.records[1].run_id: [Anomaly(kind, "an anomaly")]}
        (found,) = check_claims(paper(claim(A, B)), kept.records, kept, FIXED, anomalies)
        assert found.state == state
    wrong = side(A, 0.8)[0].values["accuracy"].model_copy(update={"value": 101.0})
    record, arrays = side(A, 0.8)
    broken = record.model_copy(update={"values": {"accuracy": wrong}}), arrays
    assert "101 %" in one(broken, side(B, 0.7), claims=[claim(A, B)]).text


def test_a_claim_under_two_equally_good_protocols_is_not_comparable():
    def both(**fields):
        return side(A, 0.8, **fields), side(B, 0.7, **fields)

    other = {"protocol": {"images": "others"}}
    found = one(*both(), *both(**other), claims=[claim(A, B)])
    assert found.state == ClaimState.NOT_COMPARABLE
    assert (
        "runs of 2 protocols, and none is closer to the conditions of the paper; the protocols differ in images: "
        in found.text
    )
    nearer = one(*both(), *both(deviations=[deviation("data.classes")], **other), claims=[claim(A, B)])
    assert (nearer.state, "differ" in nearer.text) == (ClaimState.HOLDS, False)


def test_a_claim_on_synthetic_data_is_not_comparable_but_the_order_is_reported():
    found = one(*(side(name, share, synthetic=True) for name, share in ((A, 0.8), (B, 0.7), (C, 0.6))))
    assert (found.state, found.order) == (ClaimState.NOT_COMPARABLE, ClaimState.HOLDS)
    assert "measured on synthetic data, where the order holds" in found.text


def test_real_data_the_larger_profile_and_the_latest_run_are_preferred():
    quick = [side(name, share, synthetic=True, profile="quick") for name, share in ((A, 0.5), (B, 0.9))]
    frozen = [side(name, share, profile="frozen") for name, share in ((A, 0.5), (B, 0.9))]
    whole = [side(name, share) for name, share in ((A, 0.8), (B, 0.7))]
    assert one(*quick, *frozen, *whole, claims=[claim(A, B)]).state == ClaimState.HOLDS
    assert one(*quick, *frozen, claims=[claim(A, B)]).state == ClaimState.CONTRADICTED
    old = side(A, 0.6, provenance={"finished": "2025", "source": "old"})
    new = side(A, 0.8, provenance={"finished": "2026", "source": "new"})
    assert one(new, old, side(B, 0.7), claims=[claim(A, B)]).state == ClaimState.HOLDS


def test_the_network_closer_to_the_recipe_is_preferred_to_more_seeds():
    stages = deviation("stages").model_dump()
    near = [side(name, share, profile="frozen", deviations=[stages]) for name, share in ((A, 0.8), (B, 0.7))]
    other = {"profile": "frozen", "deviations": [stages, deviation("backbones").model_dump()], "settings": {"other": 1}}
    far = [
        side(name, share, seed, provenance={"finished": "2099"}, **other)
        for name, share in ((A, 0.5), (B, 0.6))
        for seed in range(3)
    ]
    found = one(*far, *near, claims=[claim(A, B)])
    assert (found.state, {r.run_id for r in found.records}) == (ClaimState.HOLDS, {r.run_id for r, _ in near})
    assert one(*far, claims=[claim(A, B)]).state == ClaimState.CONTRADICTED


def test_many_claims_at_once_are_adjusted_together_and_a_repeated_pair_counts_once():
    weak = [side(A, 0.725), side(B, 0.7), side(C, 0.3)]
    alone = one(*weak, claims=[claim(A, B)])
    twice = check(*weak, claims=[claim(A, B), claim(A, B)])
    assert [r.pairs[0].p for r in twice] == [alone.pairs[0].p] * 2
    three = check(*weak, claims=[claim(A, B), claim(A, C), claim(B, C)])
    assert alone.pairs[0].p == three[0].pairs[0].p  # the largest of the p-values, which Holm leaves as it is
    noise = [claim(A, B), claim(B, A)]
    both = check(*weak, claims=noise)
    assert both[0].pairs[0].p == pytest.approx(min(1, 2 * alone.pairs[0].p))


def test_many_true_nulls_seldom_raise_an_alarm():
    """Five methods that are equally good, in ten orders: any of them called is a false alarm."""
    names = [A, B, C, "bcnn/bcnn_mm", "bcnn/fc_cnn_m"]
    orders = [claim(x, y) for i, x in enumerate(names) for y in names[i + 1 :]]
    alarms = 0
    for night in range(60):
        rng = np.random.default_rng(night)
        hard = rng.random(300)
        settings = {name: FIXED[f"{name}@cub"].settings.model_dump(mode="json") for name in names}
        pairs = [of_right(rng.random(300) < hard, f"{name}@cub", settings=settings[name]) for name in names]
        alarms += any(r.state in {ClaimState.HOLDS, ClaimState.CONTRADICTED} for r in check(*pairs, claims=orders))
    assert alarms <= 7  # 3 on average at 5 %; 7 or fewer 98 times of 100


def test_arrays_that_cannot_be_read_give_no_order():
    kept = Kept(side(A, 0.8), side(B, 0.7))
    (found,) = check_claims(paper(claim(A, B)), kept.records, lambda record: {}, RECIPES)
    assert found.state == ClaimState.NOT_COMPARABLE
    assert "outputs lack" in found.text

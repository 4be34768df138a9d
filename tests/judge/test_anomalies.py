from dataclasses import replace

import numpy as np
import pytest
from made_arrays import SEARCHED
from made_records import RECIPES, Kept, made, of_accuracy, of_right

from fgbench.judge.anomalies import find_anomalies, impossible_values, pairing_test, too_good
from fgbench.metrics.values import measure
from fgbench.papers.printed import load_papers
from fgbench.records.record import Weights

CELL = next(c for c in load_papers()["bcnn"].cells() if c.id == "t1/bcnn_dd/birds")
RNG = np.random.default_rng(0)
SOME = RNG.random(400) < 0.7


def kinds(*pairs):
    kept = Kept(*pairs)
    found = find_anomalies(kept.records, kept)
    return [[a.kind for a in found.get(record.run_id, ())] for record in kept.records]


def percent(**values):
    return {name.replace("_", "@"): {"value": v, "unit": "%", "n": 100} for name, v in values.items()}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 100.001])
def test_values_outside_their_range_are_impossible(value):
    (found,) = impossible_values(made(values=percent(accuracy=value)))
    assert found.kind == "impossible"
    assert found.invalidates_run
    assert "accuracy is" in found.text
    assert not impossible_values(made(values=percent(accuracy=100.0)))


def test_values_in_multiples_may_exceed_100_but_not_be_negative():
    def times(value):
        return impossible_values(made(values={"attention/box": {"value": value, "unit": "x", "n": 9}}))

    assert not times(140.0)
    assert times(-1.0)


@pytest.mark.parametrize(("low", "high"), [(50.0, 60.0), (10.0, 20.0), (float("nan"), 60.0)])
def test_a_value_outside_its_interval_is_impossible(low, high):
    value = {"value": 45.0, "unit": "%", "n": 10, "low": low, "high": high}
    assert impossible_values(made(values={"accuracy": value}))
    assert not impossible_values(made(values={"accuracy": {**value, "low": 40.0, "high": 60.0}}))
    whole = {**value, "value": 100.0, "low": 60.0, "high": 100 - 1e-13}  # as rounding leaves Wilson's
    assert not impossible_values(made(values={"accuracy": whole}))


def test_no_samples_are_impossible():
    assert impossible_values(made(values={"accuracy": {"value": 45.0, "unit": "%", "n": 0}}))


def test_rates_that_fall_with_the_rank_or_alpha_are_impossible():
    assert not impossible_values(made(values=percent(cmc_1=50.0, cmc_5=50.0, cmc_10=60.0)))
    (found,) = impossible_values(made(values=percent(cmc_1=50.0, cmc_5=49.9, cmc_10=60.0)))
    assert found.text == "cmc@1 is above cmc@5"
    reach = {"pck@0.02/beak": 50.0, "pck@0.05/beak": 49.0, "pck@0.02/tail": 10.0, "pck@0.05/tail": 20.0, "pck@0.02": 30}
    (found,) = impossible_values(made(values={name: {"value": v, "unit": "%", "n": 9} for name, v in reach.items()}))
    assert found.text == "pck@0.02/beak is above pck@0.05/beak"


def test_map_trapezoid_is_never_above_map_step():
    def precision(step, trapezoid):
        values = {"map/step": step, "map/trapezoid": trapezoid, "minp": 1.0}
        return impossible_values(made(values={name: {"value": v, "unit": "%", "n": 9} for name, v in values.items()}))

    assert not precision(30.0, 29.0)
    assert not precision(30.0, 30.0)
    assert precision(29.0, 30.0)


def test_ranks_are_ordered_as_numbers():
    assert not impossible_values(made(values=percent(cmc_1=10.0, cmc_2=20.0, cmc_10=30.0, cmc_50=40.0)))


def test_chance_level_is_tested_by_the_exact_binomial_test():
    def at(hits, n=400):
        right = np.arange(n) < hits
        return kinds(of_right(RNG.permutation(right), classes=8))[0]

    assert at(50) == ["chance"]  # 50 of 400 is an eighth
    assert at(60) == ["chance"]  # p = 0.076
    assert at(63) == []  # p = 0.034
    assert at(20) == ["chance"]


def test_a_method_at_chance_is_missed_in_at_most_five_percent():
    rng = np.random.default_rng(1)
    called = [of_right(rng.random(200) < 1 / 8, seed=i, classes=8) for i in range(300)]
    kept = Kept(*called)
    found = find_anomalies(kept.records, kept)
    assert np.mean([r.run_id not in found for r in kept.records]) < 0.08


def test_a_perfect_value_on_real_data_is_too_good():
    assert kinds(of_right(np.ones(40, bool))) == [["too good"]]
    assert kinds(of_right(np.ones(40, bool), synthetic=True)) == [[]]
    assert kinds((made(values=percent(cmc_1=90.0, cmc_50=100.0)), {})) == [[]]
    assert kinds((made(values=percent(cmc_1=100.0, cmc_50=100.0)), {})) == [["too good"]]


def test_far_above_the_printed_value_is_too_good():
    cell = replace(CELL, margin=0.5)
    assert too_good(86.5, cell) is None  # 5 margins of 0.5
    assert too_good(86.51, cell).kind == "too good"
    assert too_good(20.0, cell) is None


def test_the_same_outputs_of_two_methods_are_found():
    one, two = of_right(SOME), of_right(SOME, "bcnn/fv_cnn_d@cub")
    assert kinds(one, two) == [["identical"], ["identical"]]
    kept = Kept(one, two)
    assert "as in FV-CNN [D], seed 0" in find_anomalies(kept.records, kept)[one[0].run_id][0].text


def test_equal_values_of_different_outputs_are_no_anomaly():
    other = np.roll(SOME, 1)
    assert kinds(of_right(SOME), of_right(other, "bcnn/fv_cnn_d@cub")) == [[], []]


def test_other_protocols_and_splits_are_not_the_same_outputs():
    other = of_right(SOME, "bcnn/fv_cnn_d@cub", protocol={"images": "x"})
    assert kinds(of_right(SOME), other) == [[], []]
    assert kinds(of_right(SOME), of_right(SOME, "bcnn/fv_cnn_d@cub", split="2")) == [[], []]


def test_only_arrays_of_equal_values_and_of_several_seeds_are_read():
    kept = Kept(of_right(SOME), of_right(~SOME, "bcnn/fv_cnn_d@cub"), of_right(SOME[:100], "bcnn/fc_cnn_d@cub"))
    find_anomalies(kept.records, kept)
    assert kept.asked == []


def test_equal_outputs_of_two_seeds_are_found_if_there_is_training():
    assert RECIPES["bcnn/bcnn_dd@cub"].settings.stages
    assert kinds(of_right(SOME, seed=0), of_right(SOME, seed=1)) == [["identical"], ["identical"]]
    still = RECIPES["bcnn/bcnn_dd@cub"].settings.model_dump(mode="json") | {"stages": {}}
    assert kinds(of_right(SOME, seed=0, settings=still), of_right(SOME, seed=1, settings=still)) == [[], []]


def test_the_same_run_on_two_machines_may_give_the_same():
    other = of_right(SOME, run_id="other", provenance={"device": "cuda"})
    assert kinds(of_right(SOME), other) == [[], []]
    same_numbers = [Weights(stream="s", name="another format", sha256="x", official=True)]
    assert kinds(of_right(SOME), of_right(SOME, weights=same_numbers)) == [[], []]


def test_without_mistakes_only_equal_scores_are_the_same_outputs():
    one, arrays = of_right(np.ones(40, bool), synthetic=True)
    other, same = of_right(np.ones(40, bool), "bcnn/fv_cnn_d@cub", synthetic=True)
    assert kinds((one, arrays), (other, same)) == [["identical"], ["identical"]]
    assert kinds((one, arrays), (other, {**same, "scores": 2 * same["scores"]})) == [[], []]


def test_searches_are_compared_by_their_ranks():
    def search(recipe, ranks):
        arrays = {**SEARCHED, "first_rank": np.array(ranks, float), "ids": np.arange(2)}
        arrays = {name: array[:2] if array.ndim and len(array) == 5 else array for name, array in arrays.items()}
        del arrays["shot_rank"]
        return made(recipe, values=measure(arrays)), arrays

    one, two = (f"where_to_focus/{name}@viper" for name in ("bcnn_dm", "spatial_lstm_dm"))
    assert kinds(search(one, [[1, 1], [2, 2]]), search(two, [[1, 1], [2, 2]])) == [["identical"]] * 2
    assert kinds(search(one, [[1, 1], [2, 2]]), search(two, [[2, 2], [1, 1]])) == [[]] * 2


def test_records_without_readable_arrays_are_not_the_same():
    assert kinds((of_right(SOME)[0], {}), (of_right(SOME, "bcnn/fv_cnn_d@cub")[0], {})) == [[], []]


def control(share):
    """A control run on eight classes that knows a share of the labels and guesses the others."""
    labels = np.arange(400) % 8
    guessed = np.where(RNG.random(400) < share, labels, RNG.integers(0, 8, 400))
    record, arrays = of_right(guessed == labels, protocol={"control": "shuffled training labels"})
    return record, {**arrays, "scores": np.eye(8)[guessed]}


def test_a_control_above_chance_invalidates_its_recipe():
    leaking = control(0.2)
    plain = of_right(SOME)
    other = of_right(RNG.random(400) < 0.6, "bcnn/fv_cnn_d@cub")
    assert kinds(leaking, plain, other) == [["leak"], ["leak"], []]
    assert kinds((leaking[0], {}), plain, other) == [[], [], []]  # arrays that cannot be read say nothing
    honest = control(0)
    assert kinds(honest, plain, other) == [[], [], []]  # and no control is called chance


def test_controls_of_similar_images_raise_no_false_alarm_unlike_a_binomial_test():
    """With shuffled labels all images of a class are predicted as the same class."""
    from scipy import stats

    rng = np.random.default_rng(3)
    pairing, binomial = [], []
    for _ in range(400):
        labels = np.repeat(np.arange(20), 25)
        predicted = np.where(rng.random(500) < 0.5, rng.permutation(20)[labels], rng.integers(0, 20, 500))
        pairing.append(pairing_test(predicted, labels, 20) <= 0.05)
        hits = int((predicted == labels).sum())
        binomial.append(stats.binomtest(hits, 500, 1 / 20, alternative="greater").pvalue <= 0.05)
    assert np.mean(pairing) < 0.075
    assert np.mean(binomial) > 0.2


def test_the_p_value_of_few_classes_equals_that_by_counting():
    """Three classes have six permutations, one of which is as good as the identity."""
    labels = np.repeat(np.arange(3), 5)
    assert pairing_test(labels, labels, 3) == pytest.approx(1 / 6, abs=0.015)
    assert pairing_test((labels + 1) % 3, labels, 3) == 1
    assert pairing_test(labels, labels, 3) == pairing_test(labels, labels, 3)


def test_a_record_without_anomalies_has_no_entry():
    kept = Kept(of_right(SOME))
    assert find_anomalies(kept.records, kept) == {}
    assert find_anomalies([of_accuracy(84.0)], lambda record: {}) == {}

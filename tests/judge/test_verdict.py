from dataclasses import replace

import numpy as np
import pytest
from made_records import PROTOCOL, RECIPES, deviation, made, of_accuracy, untrained

from fgbench.judge.anomaly import Anomaly
from fgbench.judge.verdict import Outcome, judge
from fgbench.papers.printed import load_papers
from fgbench.records.record import Weights
from fgbench.util.errors import Obstacle
from fgbench.util.hashing import hash_value

KEY = "bcnn/bcnn_dd@cub"
CELLS = {cell.id: cell for cell in load_papers()["bcnn"].cells()}
CELL = replace(CELLS["t1/bcnn_dd/birds"], margin=0.5)
STEADY = [84.0, 84.05, 83.95, 84.02, 83.98]


def verdict(records, cell=CELL, obstacles=None, anomalies=None, recipes=RECIPES):
    return judge(cell, records, obstacles or {}, recipes, anomalies)


def of_one_run(value, key=KEY, cell=CELL, **fields):
    """Return the verdict on one run of a recipe whose values do not depend on the seed."""
    recipe = untrained(key)
    settings = recipe.settings.model_dump(mode="json")
    run = of_accuracy(value, recipe=key, seeded=False, settings=settings, **fields)
    return verdict([run], cell, recipes={**RECIPES, key: recipe})


def over_seeds(values, **fields):
    return [of_accuracy(value, seed, **fields) for seed, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        (STEADY, Outcome.REPRODUCED),
        ([84.02, 83.98], Outcome.INCONCLUSIVE),
        ([84.0, 84.0], Outcome.INCONCLUSIVE),
        ([86.0, 86.1, 85.9, 86.05], Outcome.EXCEEDS),
        ([80.0, 80.1, 79.9, 80.05], Outcome.NOT_REPRODUCED),
        ([82.0, 86.0, 84.0], Outcome.INCONCLUSIVE),
        ([84.0, 84.1, 83.9, 84.05], Outcome.INCONCLUSIVE),
        ([84.0], Outcome.INCONCLUSIVE),
        ([40.0], Outcome.INCONCLUSIVE),
        ([84.5, 84.6, 84.4], Outcome.INCONCLUSIVE),
    ],
)
def test_outcome_over_seeds(values, outcome):
    found = verdict(over_seeds(values))
    assert found.outcome == outcome
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.spread is None) == (len(values) == 1)
    assert f"{np.mean(values):.2f} %" in found.reason
    assert "from the printed 84 (margin 0.5)" in found.reason


@pytest.mark.parametrize(
    ("value", "outcome"), [(84.4, Outcome.REPRODUCED), (84.6, Outcome.EXCEEDS), (83.4, Outcome.NOT_REPRODUCED)]
)
def test_one_run_without_random_numbers_decides(value, outcome):
    found = of_one_run(value)
    assert found.outcome == outcome
    assert "one run decides" in found.reason
    assert found.command == ""


@pytest.mark.parametrize("value", [84.46, 84.5, 84.54, 83.46, 83.54])
def test_rounding_of_the_printed_value_can_leave_one_run_open(value):
    """84.0 may stand for 83.95 to 84.05."""
    found = of_one_run(value)
    assert found.outcome == Outcome.INCONCLUSIVE
    assert "rounding of the printed value (up to 0.05)" in found.reason
    assert found.command == ""


def test_the_luck_of_the_printed_training_counts():
    """Two measured means that differ from the printed value by less than its own spread decide nothing."""
    values = [84.9 + 0.3 * k for k in (-1, 0, 1) * 10]
    found = verdict(over_seeds(values))
    assert found.outcome == Outcome.INCONCLUSIVE
    assert "the printed number is one training with a standard error of 0.25 points" in found.reason
    averaged = verdict(over_seeds(values), replace(CELL, draws=100))
    assert averaged.outcome == Outcome.EXCEEDS
    assert averaged.decision.best_of == ""


def test_the_best_of_three_trainings_is_reported():
    found = verdict(over_seeds(STEADY))
    assert found.decision.best_of == (
        "if the printed value is the best of 3 trainings, their mean is about 0.03 points lower, and the result is the "
        "same"
    )
    above = verdict(over_seeds([84.95, 85.05, 85.0, 84.98, 85.02, 84.96, 85.04, 84.3]))
    assert "their mean is about 0.21 points lower" in above.decision.best_of


def test_a_verdict_says_which_share_of_failed_trainings_is_not_excluded():
    assert verdict(over_seeds(STEADY)).reason.endswith("5 runs do not exclude that up to 45 % of trainings fail")


def test_a_failed_training_among_the_seeds_is_reported():
    found = verdict(over_seeds([*STEADY, 74.0]))
    assert found.outcome == Outcome.INCONCLUSIVE
    assert [a.text for a in found.anomalies] == ["seed 5 is -10.00 points from the mean of the other seeds, an outlier"]
    assert not verdict(over_seeds([*STEADY, 83.8])).anomalies  # smaller than the margin


def test_values_are_averaged_within_a_split_first():
    """Seeds k and k + 2 use the same split."""
    splits = [{"split": name} for name in ("a", "b", "a", "b", "c", "c")]
    records = [of_accuracy(v, k, **splits[k]) for k, v in enumerate([84.0, 84.2, 84.1, 84.3, 84.0, 84.0])]
    found = verdict(records, replace(CELL, draws=10))
    assert found.mean == pytest.approx((84.05 + 84.25 + 84.0) / 3)
    assert "over 3 splits" in found.reason
    two = verdict(records[:4], replace(CELL, draws=10))
    assert two.outcome == Outcome.INCONCLUSIVE


def test_data_of_unknown_effect_leave_a_verdict_open_until_the_effect_is_measured():
    official, changed = "the official JPEG files", "all recompressed"
    images = deviation("data.images", changes=False, run=changed).model_copy(
        update={"recipe": official, "origin": "data"}
    )
    found = of_one_run(81.0, deviations=[images, deviation("precision", changes=False)])
    assert found.outcome == Outcome.INCONCLUSIVE
    doubt = f"; data.images is {changed} instead of {official}, with an unknown effect on the number"
    assert found.reason.endswith(doubt)
    assert found.command.startswith("fgbench sensitivity bcnn/bcnn_dd --data cub --profile ")
    assert of_one_run(81.0).outcome == Outcome.NOT_REPRODUCED
    assert doubt not in of_one_run(81.0).reason


def test_the_number_of_seeds_that_would_decide_is_in_reason_and_command():
    found = verdict(over_seeds([84.1, 84.05, 83.9]))
    assert found.outcome == Outcome.INCONCLUSIVE
    assert found.decision.seeds_needed > 3
    assert f"about {found.decision.seeds_needed} seeds would" in found.reason
    assert found.command == f"fgbench run bcnn/bcnn_dd --data cub --profile paper --seeds {found.decision.seeds_needed}"
    one = verdict([of_accuracy(84.1)])
    assert "5 seeds if it is below 0.06 or 10 seeds if it is below 0.09 points would decide" in one.reason
    assert one.command.endswith("--seeds 3")


def test_a_small_test_set_does_not_decide_for_other_images():
    """The printed number has the sampling error of the same images; for others it does not cancel."""
    found = verdict(over_seeds(STEADY))
    assert found.outcome == Outcome.REPRODUCED
    assert "sampling error 0.48 points with 5,794 images" in found.decision.other_images
    assert "no number of seeds decides, because the test set is too small" in found.decision.other_images
    larger = verdict(over_seeds(STEADY, half=0.1, n=100_000))
    assert larger.decision.other_images.endswith("inside the margin for other images, too")
    between = verdict(over_seeds([84.14 + 1.5 * (value - 84) for value in STEADY], half=0.12))
    assert between.outcome == Outcome.REPRODUCED
    assert "sampling error 0.06 points" in between.decision.other_images
    assert "seeds would decide" in between.decision.other_images
    assert verdict([of_accuracy(84.0, half=0.2)]).decision.other_images.endswith("too few seeds to decide")
    alone = of_one_run(85.2)
    assert alone.decision.other_images.endswith("is too close to the edge of the margin")
    assert found.sampling == pytest.approx((84.0 - 0.94, 84.0 + 0.94))


def test_synthetic_data_is_not_comparable_even_with_an_equal_value():
    found = verdict(over_seeds([84.0, 84.1, 84.0], synthetic=True))
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert "synthetic" in found.reason


def test_a_deviation_that_changes_the_experiment_is_not_comparable_and_named():
    found = verdict(over_seeds([84.0, 84.1, 84.0], deviations=[deviation("stages.finetune.lr")]))
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert "stages.finetune.lr" in found.reason


def test_a_deviation_that_does_not_change_the_experiment_is_listed():
    found = verdict(over_seeds([84.0, 84.1, 84.0, 84.1], deviations=[deviation("data.images", changes=False)]))
    assert found.outcome == Outcome.REPRODUCED
    assert [d.field for d in found.deviations] == ["data.images"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"settings": {**RECIPES[KEY].settings.model_dump(mode="json"), "mirror": False}}, "mirror"),
        ({"settings": {**RECIPES[KEY].settings.model_dump(mode="json"), "stages": {}}}, "stages"),
        ({"settings": {"no such": 1}}, "settings"),
        ({"protocol": {"annotations": "others"}}, "data.annotations"),
        ({"weights": [Weights(stream="a", name="b", sha256="c", official=False)]}, "weights.0"),
        ({"data": "aircraft"}, "data"),
    ],
    ids=["setting", "stages", "old settings", "annotations", "weights", "data"],
)
def test_an_unlisted_deviation_cannot_be_reproduced(fields, named):
    found = verdict(over_seeds([84.0, 84.1, 83.9, 84.05], **fields))
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert f"its record does not list it: {named}: " in found.reason


def test_a_setting_that_rounds_is_no_deviation_to_be_listed():
    settings = {**RECIPES[KEY].settings.model_dump(mode="json"), "precision": "bf16-mixed"}
    assert verdict(over_seeds(STEADY, settings=settings)).outcome == Outcome.REPRODUCED


def test_a_record_with_other_weights_is_not_averaged_in():
    good = over_seeds(STEADY)
    other = of_accuracy(84.0, 5, weights=[Weights(stream="a", name="b", sha256="c", official=True)])
    assert verdict(good).outcome == Outcome.REPRODUCED
    assert len(verdict([*good, other]).records) == 5  # other weights are another identity, never averaged in


def test_the_comparable_run_is_chosen_and_control_runs_come_last():
    real = of_accuracy(84.0)
    frozen = of_accuracy(70.0, deviations=[deviation("stages")], settings={"a": 1})
    control = of_accuracy(0.5, deviations=[deviation("control")], protocol={"control": "shuffled"})
    synthetic = of_accuracy(99.0, synthetic=True, protocol={"data": "synthetic"})
    assert verdict([synthetic, control, frozen, real]).records == (real,)
    assert verdict([synthetic, control, frozen]).records == (frozen,)
    assert verdict([control, synthetic]).records == (synthetic,)


def test_runs_of_another_protocol_are_listed_beside_the_number():
    found = verdict([of_accuracy(84.0), of_accuracy(99.0, synthetic=True, protocol={"data": "birds", "classes": 20})])
    assert found.mean == 84.0
    assert dict(found.protocols.rows) == {"data": ("cub", "birds"), "classes": ("200", "20")}
    assert found.protocols.heads[0].startswith(hash_value(PROTOCOL))


def test_records_of_two_protocols_give_their_difference_and_no_number():
    found = verdict([of_accuracy(84.0), of_accuracy(84.2, 1, protocol={"images": "recompressed"})])
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert found.mean is found.decision is None
    assert len(found.records) == 2
    assert found.protocols.rows == (("images", ("i", "recompressed")),)
    assert "the protocols differ in images: i or recompressed" in found.reason


def test_the_same_seed_run_twice_by_two_versions_of_the_code_is_not_two_seeds():
    versions = [{"source": name, "finished": name} for name in ("2025", "2026")]
    found = verdict([of_accuracy(84.0 + i, provenance=p, run_id=f"{i}") for i, p in enumerate(versions)])
    assert len(found.records) == 1
    assert found.mean == 85.0
    assert found.outcome == Outcome.INCONCLUSIVE


def test_a_copied_record_is_not_a_second_seed():
    found = verdict([of_accuracy(84.0), of_accuracy(84.0, run_id="copy")])
    assert len(found.records) == 1
    assert found.outcome == Outcome.INCONCLUSIVE


def test_without_records():
    assert verdict([]).outcome == Outcome.NOT_RUN
    assert verdict([]).command.startswith("fgbench run bcnn/bcnn_dd")
    blocked = verdict([], obstacles={KEY: Obstacle("weights: missing", "fgbench weights get x")})
    assert (blocked.outcome, blocked.command) == (Outcome.BLOCKED, "fgbench weights get x")
    assert verdict([of_accuracy(84.0)], cell=CELLS["t1/bcnn_dd/cars"]).outcome == Outcome.NOT_RUN
    box = CELLS["t1box/bcnn_dd/birds"]
    assert judge(box, [of_accuracy(84.8)], {}, RECIPES).outcome == Outcome.NOT_RUN


def test_a_run_without_boxes_is_not_used_for_a_cell_with_boxes():
    box = CELLS["t1box/bcnn_dd/birds"]
    key = f"{box.recipe}@cub"
    sees = {"train_sees": [], "test_sees": []}
    assert verdict([of_accuracy(84.8, recipe=key, protocol=sees)], box).outcome == Outcome.NOT_RUN
    sees = {"train_sees": ["boxes"], "test_sees": ["boxes"]}
    assert of_one_run(84.8, key, box, protocol=sees).outcome == Outcome.REPRODUCED


def test_rows_of_other_groups_are_context():
    other_group = next(c for c in load_papers()["where_to_focus"].cells() if c.role == "context")
    assert judge(other_group, [], {}, {}).outcome == Outcome.CONTEXT


@pytest.mark.parametrize(
    ("kind", "invalid"), [("impossible", True), ("identical", True), ("leak", True), ("chance", False)]
)
def test_an_invalid_run_is_not_comparable(kind, invalid):
    records = over_seeds([84.0, 84.1, 83.9, 84.05])
    anomaly = Anomaly(kind, "an anomaly")
    found = verdict(records, anomalies={records[2].run_id: [anomaly]})
    assert found.anomalies == (anomaly,)
    assert (found.outcome == Outcome.NOT_COMPARABLE) == invalid
    assert ("an anomaly" in found.reason) == invalid


def test_a_number_far_above_the_printed_one_is_flagged():
    assert [a.kind for a in verdict(over_seeds([92.0, 92.1])).anomalies] == ["too good"]
    assert not verdict(over_seeds([86.4, 86.5])).anomalies
    assert not verdict(over_seeds([99.0, 99.1], synthetic=True)).anomalies


def test_an_impossible_value_is_found_without_known_anomalies():
    for value in (float("nan"), 100.4):
        found = verdict([of_accuracy(value)])
        assert found.outcome == Outcome.NOT_COMPARABLE
        assert [a.kind for a in found.anomalies if a.invalidates_run] == ["impossible"]


def test_random_splits_are_tested_over_several_runs():
    cell = next(c for c in load_papers()["where_to_focus"].cells() if c.id == "t3/ours_dm/cuhk03_r1")
    key = "where_to_focus/spatial_lstm_dm@cuhk03"

    def searches(values, sd):
        rates = [{"cmc@1": {"value": v, "unit": "%", "n": 100, "low": v - 9, "high": v + 9}} for v in values]
        records = [
            made(key, seed, values=rate, data="cuhk03", split=f"{seed + 1}", protocol={"data": "cuhk03"})
            for seed, rate in enumerate(rates)
        ]
        return verdict(records, cell)

    assert searches([65.0], 0).outcome == Outcome.INCONCLUSIVE
    found = searches([61.0, 70.0, 66.0, 63.0, 67.0, 64.0], 3)
    assert found.outcome == Outcome.INCONCLUSIVE
    assert (
        "no number of seeds would decide, because the printed number is a mean over 10 other random splits "
        in found.reason
    )
    assert "a standard error of 1.01 points" in found.reason
    assert found.command == ""
    assert "each seed has its own random split" in found.decision.other_images

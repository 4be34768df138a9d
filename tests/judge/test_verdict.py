import numpy as np
import pytest
from made_records import PROTOCOL, RECIPES, deviation, of_accuracy
from made_verdicts import CELLS, KEY, STEADY, of_one_run, over_seeds, verdict

from fgbench.judge.anomaly import Anomaly
from fgbench.judge.verdict import Outcome, judge
from fgbench.papers.printed import load_papers
from fgbench.records.record import Weights
from fgbench.util.errors import Obstacle
from fgbench.util.hashing import hash_value


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


def test_annotations_that_are_not_verified_are_listed_and_do_not_leave_a_verdict_open():
    remark = deviation("data.annotations", changes=False, run="not verified").model_copy(update={"origin": "data"})
    found = of_one_run(81.0, deviations=[remark])
    assert found.outcome == Outcome.NOT_REPRODUCED
    assert found.deviations == (remark,)
    assert "unknown effect" not in found.reason


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
    box = CELLS["t1/bcnn_dd/birds_box"]
    assert judge(box, [of_accuracy(84.8)], {}, RECIPES).outcome == Outcome.NOT_RUN


def test_a_run_without_boxes_is_not_used_for_a_cell_with_boxes():
    box = CELLS["t1/bcnn_dd/birds_box"]
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

import numpy as np
import pytest
from test_records import record

from fgbench.claims import check_claims
from fgbench.papers import load_papers
from fgbench.records import Deviation, Record
from fgbench.verdict import Obstacle, Outcome, judge

KEY = "bcnn/bcnn_dd@cub"
CELLS = {cell.id: cell for cell in load_papers()["bcnn"].cells()}
CELL = CELLS["t1/bcnn_dd/birds"]


def run(accuracy, seed=0, *, recipe=KEY, synthetic=False, deviations=(), **fields):
    base, _ = record(run_id=f"{recipe}{seed}{accuracy}", recipe=recipe, seed=seed, synthetic=synthetic, profile="paper")
    value = base["values"]["accuracy"].model_copy(update={"value": accuracy, "low": accuracy - 1, "high": accuracy + 1})
    base |= {"values": {"accuracy": value}, "deviations": list(deviations), "outputs": "x", "outputs_sha256": "y"}
    return Record.model_validate({**base, **fields})


def deviation(field, changes=True):
    return Deviation(field=field, recipe=1, run=2, origin="code", changes_experiment=changes)


def verdict(records, deterministic=False, cell=CELL, obstacles=None):
    return judge(cell, records, obstacles or {}, {KEY: deterministic})


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([84.0, 84.1, 83.9, 84.05], Outcome.REPRODUCED),
        ([86.0, 86.1, 85.9, 86.05], Outcome.EXCEEDS),
        ([80.0, 80.1, 79.9, 80.05], Outcome.NOT_REPRODUCED),
        ([82.0, 86.0, 84.0], Outcome.INCONCLUSIVE),
        ([84.0], Outcome.INCONCLUSIVE),
        ([84.5, 84.6, 84.4], Outcome.INCONCLUSIVE),
    ],
)
def test_outcome_over_seeds(values, outcome):
    found = verdict([run(value, seed) for seed, value in enumerate(values)])
    assert found.outcome == outcome
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.spread is None) == (len(values) == 1)


@pytest.mark.parametrize(
    ("value", "outcome"), [(84.4, Outcome.REPRODUCED), (84.6, Outcome.EXCEEDS), (83.4, Outcome.NOT_REPRODUCED)]
)
def test_a_deterministic_recipe_needs_one_run(value, outcome):
    assert verdict([run(value)], deterministic=True).outcome == outcome


def test_synthetic_data_answers_no_printed_number_however_close():
    found = verdict([run(84.0, s, synthetic=True) for s in range(3)])
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert "synthetic" in found.reason


def test_a_deviation_that_changes_the_experiment_is_not_comparable_and_named():
    found = verdict([run(84.0, s, deviations=[deviation("stages.finetune.lr")]) for s in range(3)])
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert "stages.finetune.lr" in found.reason


def test_a_deviation_to_keep_in_mind_is_listed_and_does_not_forbid():
    found = verdict([run(84.0 + s / 10, s, deviations=[deviation("data.images", changes=False)]) for s in range(4)])
    assert found.outcome == Outcome.REPRODUCED
    assert [d.field for d in found.deviations] == ["data.images"]


def test_the_comparable_run_is_taken_and_control_runs_come_last():
    real = run(84.0, protocol_hash="real")
    frozen = run(70.0, deviations=[deviation("stages")], protocol_hash="real", settings={"a": 1})
    control = run(0.5, deviations=[deviation("control")], protocol_hash="control")
    synthetic = run(99.0, synthetic=True, protocol_hash="synthetic")
    assert verdict([synthetic, control, frozen, real]).records == (real,)
    assert verdict([synthetic, control, frozen]).records == (frozen,)
    assert verdict([control, synthetic]).records == (synthetic,)


def test_records_of_two_protocols_are_never_averaged():
    found = verdict([run(84.0, 0, protocol_hash="a"), run(80.0, 1, protocol_hash="b")])
    assert len(found.records) == 1


def test_the_same_seed_run_twice_by_two_versions_of_the_code_is_not_two_seeds():
    versions = [{"source": name, "finished": name} for name in ("2025", "2026")]
    found = verdict([run(84.0 + i, 0, provenance=p, run_id=f"{i}") for i, p in enumerate(versions)])
    assert len(found.records) == 1
    assert found.mean == 85.0
    assert found.outcome == Outcome.INCONCLUSIVE


def test_without_records():
    assert verdict([]).outcome == Outcome.NOT_RUN
    assert verdict([]).command.startswith("fgbench run bcnn/bcnn_dd")
    blocked = verdict([], obstacles={KEY: Obstacle("weights: missing", "fgbench weights get x")})
    assert (blocked.outcome, blocked.command) == (Outcome.BLOCKED, "fgbench weights get x")
    assert verdict([run(84.0)], cell=CELLS["t1/bcnn_dd/cars"]).outcome == Outcome.NOT_RUN
    box = CELLS["t1box/bcnn_dd/birds"]
    assert judge(box, [run(84.8)], {}, {f"{box.recipe}@cub": True}).outcome == Outcome.NOT_RUN


def test_a_run_without_boxes_does_not_answer_a_cell_with_boxes():
    box = CELLS["t1box/bcnn_dd/birds"]
    key = f"{box.recipe}@cub"
    assert judge(box, [run(84.8, recipe=key)], {}, {key: True}).outcome == Outcome.NOT_RUN
    seen = run(84.8, recipe=key, protocol={"train_sees": ["boxes"], "test_sees": ["boxes"]})
    assert judge(box, [seen], {}, {key: True}).outcome == Outcome.REPRODUCED


def test_rivals_rows_are_context():
    rival = next(c for c in load_papers()["where_to_focus"].cells() if c.role == "context")
    assert judge(rival, [], {}, {}).outcome == Outcome.CONTEXT


def test_claims_follow_the_order_of_the_means():
    papers = {"bcnn": load_papers()["bcnn"]}

    def holds(bcnn, fv, fc):
        records = [
            run(value, recipe=f"bcnn/{name}@cub")
            for name, value in (("bcnn_dd", bcnn), ("fv_cnn_d", fv), ("fc_cnn_d", fc))
        ]
        return check_claims(papers, records)[0].holds

    assert holds(84, 75, 70) is True
    assert holds(74, 75, 70) is False
    assert check_claims(papers, [run(84)])[0].holds is None

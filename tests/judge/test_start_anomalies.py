"""Runs that started from the network of a run that is invalid, absent or was trained again."""

import pytest
from made_records import RECIPES, of_accuracy

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.verdict import Outcome, judge
from fgbench.papers.printed import load_papers
from fgbench.records.record import STARTING_WEIGHTS, by_identity

CELL = next(c for c in load_papers()["bcnn"].cells() if c.id == "t1/fv_cnn_d/birds")
NETWORK = "1" * 64


def started(from_run, network=NETWORK, **fields):
    start = {"recipe": from_run.recipe, "run_id": from_run.run_id, "network_sha256": network}
    return of_accuracy(70.0, recipe="bcnn/fv_cnn_d@cub", starts_from=start, **fields)


PARENT = of_accuracy(60.0, recipe="bcnn/fc_cnn_d@cub", network_sha256=NETWORK)
CHILD = started(PARENT)


def anomalies_of(record, *records, unusable=()):
    found = find_anomalies([*records, record], lambda record: {}, unusable).get(record.run_id, [])
    return [(anomaly.kind, anomaly.text, anomaly.invalidates_run) for anomaly in found]


def test_a_sound_run_before_it_is_no_anomaly():
    assert anomalies_of(CHILD, PARENT) == []
    assert anomalies_of(PARENT, CHILD) == []


def test_a_damaged_record_of_the_run_before_invalidates_those_that_started_from_it():
    grandchild = started(CHILD, seed=1)
    begin = f"it started from the network of run {PARENT.run_id} of bcnn/fc_cnn_d@cub"
    for records in ([], [PARENT]):  # read without its values, or not at all
        ((kind, text, invalid),) = anomalies_of(CHILD, *records, unusable={PARENT.run_id})
        assert (kind, text, invalid) == ("invalid start", f"{begin}, whose record is damaged or was changed", True)
    ((kind, text, invalid),) = anomalies_of(grandchild, CHILD, unusable={PARENT.run_id})[:1]
    assert (kind, invalid) == ("invalid start", True)
    assert text.endswith(f"run {CHILD.run_id} of bcnn/fv_cnn_d@cub, which cannot be right")


def test_an_impossible_value_of_the_run_before_invalidates_it():
    impossible = of_accuracy(120.0, recipe="bcnn/fc_cnn_d@cub", network_sha256=NETWORK)
    ((kind, text, invalid),) = anomalies_of(started(impossible), impossible)
    assert (kind, invalid) == ("invalid start", True)
    assert text.endswith("which cannot be right")


@pytest.mark.parametrize(("network", "now"), [("2" * 64, f"keeps network {'2' * 16}"), ("", "keeps no network")])
def test_a_run_that_was_trained_again_or_is_absent_is_only_told(network, now):
    again = PARENT.model_copy(update={"network_sha256": network})
    ((kind, text, invalid),) = anomalies_of(CHILD, again)
    assert (kind, invalid) == ("start", False)
    assert text.endswith(f"which was trained again: it {now}, not {NETWORK[:16]}")
    ((kind, text, invalid),) = anomalies_of(CHILD)
    assert (kind, invalid) == ("start", False)
    assert text.endswith("whose record is not here, so it cannot be checked")


def test_records_that_start_from_each_other_do_not_hang():
    first = started(CHILD, seed=1)
    second = CHILD.model_copy(update={"starts_from": started(first).starts_from, "network_sha256": NETWORK})
    assert anomalies_of(first, second) == []


def test_a_verdict_on_an_invalid_start_has_no_outcome():
    def verdict(unusable):
        found = find_anomalies([PARENT, CHILD], lambda record: {}, unusable)
        return judge(CELL, [CHILD], {}, RECIPES, found)

    assert "cannot be right" not in verdict(()).reason
    judged = verdict({PARENT.run_id})
    assert judged.outcome == Outcome.NOT_COMPARABLE
    assert judged.reason.startswith("the runs cannot be right: it started from the network of run")


def test_runs_that_started_from_other_weights_are_not_averaged():
    fields = {"field": STARTING_WEIGHTS, "recipe": "a", "origin": "ours", "changes_experiment": False}
    seeds = [started(PARENT, seed=k, deviations=[{**fields, "run": f"file {k}"}]) for k in (0, 1)]
    assert len(by_identity(seeds)) == 2
    same = [started(PARENT, seed=k, deviations=[{**fields, "run": "file"}]) for k in (0, 1)]
    assert len(by_identity(same)) == 1

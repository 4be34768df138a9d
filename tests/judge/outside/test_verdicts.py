"""Records and verdicts of predictions from outside."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from few_birds import CLASSES, TEST_IDS
from small_stand_in import few_synthetic_birds

import fgbench
from fgbench.datasets import find
from fgbench.judge.verdict import Outcome
from fgbench.records.external import UNCHECKED
from fgbench.records.store import store_of
from fgbench.util.errors import FgbenchError

CELL = "bcnn/t1/bcnn_dd/birds"
SCORES = np.array([[0.9, 0.1], [2.0, -1.5], [0.6, 0.4], [0.2, 0.8]], dtype=np.float32)


def write(path, scores=SCORES):
    rows = "".join(f"{number},{row[0]},{row[1]}\n" for number, row in zip(TEST_IDS, scores, strict=True))
    path.write_text(f"id,{CLASSES[0]},{CLASSES[1]}\n{rows}")
    return path


def test_the_record_names_its_file_and_what_nobody_has_checked(tmp_path):
    path = write(tmp_path / "mine.csv")
    verdict = fgbench.judge(path, cell=CELL, results=tmp_path / "runs")
    (record,) = store_of(tmp_path / "runs").records()
    assert record == verdict.records[0]
    assert (record.profile, record.method, record.title, record.weights) == (
        "external",
        "external",
        "mine.csv (external)",
        [],
    )
    assert record.external.what == "predictions"
    assert (record.external.name, record.external.file) == ("mine.csv", "mine.csv")
    assert record.external.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.settings == {"data": "cub", "ranking": None}
    assert record.sealed
    assert not record.computed_here
    # The data set of this test is not the official one: the same rule as for a run.
    assert verdict.outcome == Outcome.NOT_COMPARABLE
    assert verdict.reason.endswith(UNCHECKED["predictions"])
    assert verdict.command == ""
    assert not fgbench.verdicts(tmp_path / "runs").query("external == '' and verdict == 'reproduced'").size


def test_the_same_files_are_kept_once_and_a_damaged_record_is_written_again(tmp_path):
    path, store = write(tmp_path / "p.csv"), store_of(tmp_path)
    first = fgbench.judge(path, cell=CELL, results=tmp_path).records[0]
    content = (store.folder / f"{first.run_id}.json").read_bytes()
    assert fgbench.judge(path, cell=CELL, results=tmp_path).records[0] == first
    assert (store.folder / f"{first.run_id}.json").read_bytes() == content
    (store.folder / first.outputs).write_bytes(b"damaged")
    again = fgbench.judge(path, cell=CELL, results=tmp_path).records[0]
    assert store.verify(again) == []
    other = fgbench.judge(write(path, SCORES * 2), cell=CELL, results=tmp_path).records[0]
    named = fgbench.judge(path, cell=CELL, results=tmp_path, name="other").records[0]
    assert len({first.run_id, other.run_id, named.run_id}) == len(store.run_ids()) == 3


def test_several_files_are_the_seeds_of_one_result(tmp_path):
    rng = np.random.default_rng(0)
    paths = [write(tmp_path / f"seed{k}.csv", rng.normal(size=(4, 2))) for k in range(3)]
    verdict = fgbench.judge(paths, cell=CELL, results=tmp_path, name="three")
    assert [record.seed for record in verdict.records] == [0, 1, 2]
    assert [record.external.file for record in verdict.records] == ["seed0.csv", "seed1.csv", "seed2.csv"]
    assert len({record.identity for record in verdict.records}) == 1
    assert verdict.mean == np.mean([record.values["accuracy"].value for record in verdict.records])
    single = fgbench.judge(paths[0], cell=CELL, results=tmp_path)
    assert single.records[0].identity != verdict.records[0].identity


def test_a_fault_of_one_of_several_files_writes_nothing(tmp_path):
    paths = [write(tmp_path / "good.csv"), tmp_path / "bad.csv"]
    paths[1].write_text("id,label\n1,1\n")
    with pytest.raises(FgbenchError, match=r"bad\.csv: 3 of 4 test images missing"):
        fgbench.judge(paths, cell=CELL, results=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(FgbenchError, match="there are no predictions"):
        fgbench.judge([], cell=CELL)


@pytest.mark.parametrize("copied", [SCORES, 3 * SCORES - 1], ids=["same", "scaled"])
def test_copies_among_the_files_are_found(tmp_path, copied):
    other = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.9], [0.1, 0.5]])
    verdict = fgbench.judge([SCORES, other, copied], cell=CELL)
    assert verdict.outcome == Outcome.NOT_COMPARABLE
    assert "most test samples have the same output as in seed" in verdict.reason


def test_labels_are_copies_only_if_all_are_equal():
    labels = np.array([1, 1, 1, 2])
    for other, is_copy in ((np.array([1, 1, 2, 2]), False), (labels.copy(), True)):
        kinds = {anomaly.kind for anomaly in fgbench.judge([labels, other], cell=CELL).anomalies}
        assert ("identical" in kinds) == is_copy


def test_without_results_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fgbench.judge(SCORES, cell=CELL).mean == 75.0
    assert list(tmp_path.iterdir()) == []


def test_the_room_is_a_function_and_its_import_has_no_effect(tmp_path):
    program = (
        "import sys, fgbench; f = fgbench.judge; import fgbench.judge.frames as frames;"
        "print(callable(f), f is fgbench.judge, frames.__name__, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["True", "True", "fgbench.judge.frames", "False"]
    assert "Args:" in fgbench.judge.__call__.__doc__
    assert list(tmp_path.iterdir()) == []


def test_a_record_without_the_mark_is_refused(tmp_path):
    fgbench.judge(write(tmp_path / "p.csv"), cell=CELL, results=tmp_path)
    (path,) = (tmp_path / "records").glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"external": None}))
    with pytest.raises(FgbenchError, match="profile 'external' and the field 'external' must be given together"):
        store_of(tmp_path).records()


def test_predictions_on_another_data_set_are_not_comparable(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    few_synthetic_birds()
    index = find("synthetic_birds").index()
    truth = index.select(~index.train)
    labels = truth.labels + 1
    labels[0] = labels[-1]
    table = {"id": truth.ids, "label": labels}
    verdict = fgbench.judge(table, cell=CELL, data="synthetic_birds", results=tmp_path / "runs")
    assert verdict.mean == 100 * 15 / 16
    assert verdict.outcome == Outcome.NOT_COMPARABLE
    assert "measured on synthetic data" in verdict.reason
    (record,) = store_of(tmp_path / "runs").records()
    assert (record.data, record.settings["data"], record.synthetic) == ("synthetic_birds", "synthetic_birds", True)
    assert [deviation.field for deviation in record.deviations] == ["data"]
    with pytest.raises(FgbenchError, match="not in cub"):
        fgbench.judge(table, cell=CELL)
    with pytest.raises(FgbenchError, match="no dataset named 'cup'"):
        fgbench.judge(table, cell=CELL, data="cup")
    with pytest.raises(FgbenchError, match="images of your own answer no printed number"):
        fgbench.judge(table, cell=CELL, data=f"imagefolder:{tmp_path}")

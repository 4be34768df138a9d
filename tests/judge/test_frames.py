import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from made_records import ESTIMATE, GPU
from stored_records import DEVIATIONS, ODD, record, write_record

import fgbench
from fgbench.judge.table_columns import CELLS, VALUES, VERDICTS
from fgbench.judge.table_columns import GPU as GPU_COLUMNS
from fgbench.metrics.values import Value
from fgbench.records.store import Store
from fgbench.util.errors import FgbenchError

pytestmark = pytest.mark.usefixtures("any_values")

PROVENANCE = {
    "threads": 2, "dirty": True, "commit": None, "finished": "2026-11-21T06:18:16+00:00", "device": "cpu",
    "cores": "two", "packages": {"torch": "2.13.0"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Two seeds of one recipe with odd values, and another run with deviations."""
    values = {name: Value(value=value, unit="x", n=7) for name, value in ODD.items()}
    write_record(tmp_path / "records", run_id="b" * 16, values=values, seed=1, provenance=PROVENANCE)
    write_record(tmp_path / "records", run_id="a" * 16, values=values, provenance=PROVENANCE)
    write_record(tmp_path / "records", run_id="c" * 16, recipe="bcnn/fv_sift@birds", deviations=DEVIATIONS, split="2")
    return tmp_path


def test_every_value_of_every_record_is_a_row_with_all_bits(folder):
    frame = fgbench.load(folder)
    assert list(frame.run_id) == ["c" * 16] * 3 + ["a" * 16] * 5 + ["b" * 16] * 5
    for run_id in ("a" * 16, "b" * 16):
        own = frame[frame.run_id == run_id].set_index("metric")
        assert {name: own.value[name].hex() for name in ODD} == {name: value.hex() for name, value in ODD.items()}
        assert set(own.n) == {7}
        assert own.low.isna().all()
    assert list(frame.seed.drop_duplicates()) == [0, 1]
    accuracy = frame[(frame.run_id == "c" * 16) & (frame.metric == "accuracy")].iloc[0]
    stored = Store(folder / "records").read("c" * 16).values["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == (stored.value, stored.low, stored.high)


def test_a_row_contains_the_run_and_its_provenance(folder):
    frame = fgbench.load(folder / "records")
    first, last = frame[frame.run_id == "a" * 16].iloc[0], frame[frame.run_id == "c" * 16].iloc[0]
    assert (first.paper, first.recipe, first.threads, first.dirty, first.packages) == (
        "bcnn", "bcnn/fv_sift@cub", 2, True, "torch 2.13.0",
    )  # fmt: skip
    assert first.finished == pd.Timestamp("2026-11-21T06:18:16Z")
    assert frame[["commit", "cores", "started", "processes"]].loc[first.name].isna().all()
    assert last.deviations == "svm.c: 1.0 -> 0.5; backbones: a:b -> none"
    assert (last.comparable, last.split, last.finished is pd.NaT) == (False, "2", True)
    seeds = frame[frame.recipe == "bcnn/fv_sift@cub"]
    assert seeds.identity.nunique() == 1
    assert frame.identity.nunique() == 2


def test_a_run_on_a_gpu_has_the_versions_of_its_gpu_and_its_estimate(tmp_path):
    cost = {"wall_s": 9.0, "phase_s": {}, "peak_mib": 2.0, "device_peak_mib": 700.5, "expected": ESTIMATE}
    write_record(tmp_path, cost=cost, provenance=GPU)
    row = fgbench.load(tmp_path).iloc[0]
    assert (row.device, row.driver, row.cuda, row.cudnn, row.tf32) == ("NVIDIA H200", "570.86", "12.8", 91002, False)
    assert row.head_features == "classifier: float32 in the memory of the GPU"
    assert (row.device_peak_mib, row.expected_s, row.expected_for) == (700.5, 750.0, "NVIDIA H100 SXM, 80 GB")


def test_a_run_on_a_cpu_has_no_values_of_a_gpu(folder):
    frame = fgbench.load(folder)
    assert frame[[*GPU_COLUMNS, "head_features", "device_peak_mib", "expected_s"]].isna().to_numpy().all()


def test_an_empty_folder_gives_the_same_columns_of_the_same_types(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    full, empty = fgbench.load(folder), fgbench.load(tmp_path / "empty")
    assert len(empty) == 0
    assert list(full) == list(empty) == list(VALUES)
    assert full.dtypes.equals(empty.dtypes)
    assert [str(kind) for kind in full.dtypes] == list(VALUES.values())
    assert "object" not in set(map(str, full.dtypes))


def test_a_missing_folder_is_an_error(tmp_path):
    for call in (fgbench.load, fgbench.verdicts):
        with pytest.raises(FgbenchError, match="there is no folder"):
            call(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b'{"schema_version": 1}'])
def test_a_broken_record_is_named_and_can_be_skipped(folder, content):
    (folder / "records/broken.json").write_bytes(content)
    with pytest.raises(FgbenchError, match=r"broken\.json"):
        fgbench.load(folder)
    with pytest.warns(UserWarning, match=r"skipped: .*broken\.json") as warned:
        frame = fgbench.load(folder, strict=False)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert sorted(set(frame.run_id)) == ["a" * 16, "b" * 16, "c" * 16]


def test_a_folder_named_like_a_record_is_an_error(folder):
    (folder / "records/odd.json").mkdir()
    with pytest.raises(FgbenchError, match=r"odd\.json cannot be read: it is a folder"):
        fgbench.load(folder)


def test_outputs_are_those_written_with_the_record(folder):
    arrays = fgbench.outputs(folder, "a" * 16)
    expected = record()[1]
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)
    with pytest.raises(FgbenchError, match=f"no record {'a' * 15}b in .*; did you mean '{'a' * 16}'"):
        fgbench.outputs(folder, "a" * 15 + "b")
    arrays["labels"][0] += 1
    np.savez(folder / "records" / f"{'a' * 16}.npz", **arrays)
    with pytest.raises(FgbenchError, match="is not the file that was written with the record"):
        fgbench.outputs(folder, "a" * 16)
    (folder / "records" / f"{'a' * 16}.npz").unlink()
    with pytest.raises(FgbenchError, match="is missing"):
        fgbench.outputs(folder, "a" * 16)


def test_cells_are_the_printed_numbers_of_the_papers():
    frame = fgbench.cells()
    assert [str(kind) for kind in frame.dtypes] == list(CELLS.values())
    assert len(frame) == 278
    dd = frame[(frame.paper == "bcnn") & (frame.cell == "t1/bcnn_dd/birds")].iloc[0]
    assert (dd.printed, dd.margin, dd.margin_from, dd.recipe) == (84.0, 0.77, "bcnn/accuracy", "bcnn/bcnn_dd")
    assert "alpha = 0.02, part = back" in set(frame[frame.metric == "pck"].params.str.lower())


def test_verdicts_stand_beside_the_mean_over_seeds(tmp_path):
    values = {"accuracy": Value(value=100 / 3, unit="%", n=40, low=200 / 7, high=40.0)}
    write_record(tmp_path, values=values)
    frame = fgbench.verdicts(tmp_path)
    assert [str(kind) for kind in frame.dtypes] == list(VERDICTS.values())
    assert len(frame) == len(fgbench.cells())
    sift = frame[(frame.paper == "bcnn") & (frame.cell == "t1/fv_sift/birds_no_ft")].iloc[0]
    assert (sift.measured, sift.sampling_low, sift.sampling_high) == (100 / 3, 200 / 7, 40.0)
    assert (sift.verdict, sift.seeds, sift.runs, sift.synthetic) == ("not comparable", 1, "a" * 16, True)
    other = frame[(frame.paper == "bcnn") & (frame.cell == "t1/bcnn_dd/birds")].iloc[0]
    assert (other.verdict, other.seeds, other.measured == other.measured, other.synthetic is pd.NA) == (
        "blocked", 0, False, True,
    )  # fmt: skip


def test_a_cited_number_has_the_verdict_of_its_source_and_names_it(tmp_path):
    write_record(tmp_path)
    frame = fgbench.verdicts(tmp_path)
    sources = (frame.paper + "/" + frame.cell).rename("cites")
    cited = frame[frame.cites != ""].merge(frame.drop(columns="cites").assign(cites=sources), on="cites")
    assert len(cited) == 19
    for name in ("verdict", "reason", "printed", "margin", "recipe", "runs", "command"):
        assert list(cited[f"{name}_x"]) == list(cited[f"{name}_y"])
    assert {"not comparable", "blocked"} <= set(cited.verdict_x)
    assert set(cited.paper_x) == {"where_to_focus", "keypoint_fcn"}


def test_importing_fgbench_imports_nothing_else_and_load_no_torch(tmp_path):
    code = (
        "import sys, json; before = set(sys.modules); import fgbench; first = set(sys.modules) - before; "
        f"fgbench.load({str(tmp_path)!r}); print(json.dumps([sorted(first), 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, torch = json.loads(done.stdout)
    assert "fgbench" in first
    assert not [name for name in first if name.partition(".")[0] in {"numpy", "pandas", "pydantic", "scipy", "torch"}]
    assert not [name for name in first if name.startswith("fgbench.") and name != "fgbench._version"]
    assert not torch


def test_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        fgbench.lod  # noqa: B018
    assert set(fgbench.__all__) == {
        "__version__", "cells", "evaluate", "judge", "load", "outputs", "predict", "report", "run", "verdicts",
    }  # fmt: skip

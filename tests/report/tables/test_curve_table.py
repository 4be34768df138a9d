"""`fgbench export curves`: one row for each epoch, with the values to the last bit."""

import csv
import io

import pandas as pd
import pytest
from command_line import run
from stored_records import write_record

from fgbench.records.record import Point
from fgbench.records.store import store_of
from fgbench.report.tables.curve_table import KEPT, PLACE, curve_frame, curve_sheet

CURVE = [
    {"stage": "classifier", "epoch": 1, "loss": 0.1 + 0.2, "accuracy": 100 / 3, "wall_s": 0.25},
    {"stage": "finetune", "epoch": 1, "loss": 5e-324, "accuracy": 50.0, "wall_s": 1e-3},
    {"stage": "finetune", "epoch": 2, "loss": 1.5, "accuracy": 0.0, "wall_s": 2.0},
]


@pytest.fixture
def folder(tmp_path):
    write_record(tmp_path / "records", curve=CURVE)
    write_record(tmp_path / "records", run_id="b" * 16, seed=1, curve=CURVE[:1])
    write_record(tmp_path / "records", run_id="c" * 16, seed=2)  # trained nothing
    return tmp_path


def test_every_value_of_an_epoch_is_a_column():
    assert {*PLACE, *KEPT} == set(Point.model_fields)


def test_csv_and_parquet_have_a_row_for_each_epoch_at_full_precision(folder):
    code, text = run("export", "curves", "--results", str(folder))
    assert code == 0, text
    rows = pd.DataFrame(csv.DictReader(io.StringIO(text))).astype(
        dict.fromkeys(KEPT, float) | {"seed": int, "epoch": int}
    )
    assert rows[["run_id", "seed", "stage", "epoch"]].to_numpy().tolist() == [
        ["a" * 16, 0, "classifier", 1],
        ["a" * 16, 0, "finetune", 1],
        ["a" * 16, 0, "finetune", 2],
        ["b" * 16, 1, "classifier", 1],
    ]
    assert set(rows.recipe) == {"bcnn/fv_sift@cub"}
    assert set(rows.profile) == {"quick"}
    for name in KEPT:
        assert rows[name].tolist() == [point[name] for point in (*CURVE, CURVE[0])]
    code, text = run("export", "curves", "--results", str(folder), "--out", str(folder / "curves.parquet"))
    assert code == 0, text
    table = pd.read_parquet(folder / "curves.parquet")
    assert table[list(KEPT)].to_numpy().tolist() == rows[list(KEPT)].to_numpy().tolist()


def test_a_folder_without_curves_gives_the_same_columns(folder):
    records = store_of(folder).records()
    empty = curve_frame([record for record in records if not record.curve])
    assert list(empty.columns) == list(curve_frame(records).columns)
    assert empty.dtypes.equals(curve_frame(records).dtypes)
    assert len(curve_sheet(curve_frame(records)).rows) == 4

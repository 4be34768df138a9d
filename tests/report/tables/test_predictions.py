"""Predictions of a record as files that `fgbench judge` reads: the same arrays and the same value."""

import numpy as np
import pytest
from few_birds import CLASSES, PARTS, TEST_FILES, TEST_IDS, few_birds
from made_arrays import LOCATED, SEARCHED
from stored_records import write_record

import fgbench
from fgbench.report.tables.predictions import FORMATS, export_predictions, prediction_tables
from fgbench.util.errors import FgbenchError

CELL = {"predictions": "bcnn/t1/bcnn_dd/birds", "keypoints": "keypoint_fcn/t2/beak/a10"}
ODD = np.array([[1 / 3, 0.1], [5e-324, 0.0], [np.nextafter(0.5, 1), 0.5], [-1e300, 1e300]])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(tmp_path / "data")))
    return tmp_path


def judged(source, name, folder):
    verdict = fgbench.judge(source, cell=CELL[name], results=folder, name="one")
    record = verdict.records[0]
    return verdict.mean, fgbench.outputs(folder, record.run_id), record.run_id


@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_judged_again_are_equal_to_the_last_bit(folder, style, dtype):
    scores = np.clip(ODD, -3e38, 3e38).astype(dtype)
    mean, arrays, run_id = judged({"id": TEST_IDS, "scores": scores, "classes": CLASSES}, "predictions", folder / "a")
    out = folder / f"p{FORMATS[style]}"
    export_predictions("predictions", run_id, folder / "a", None, out)
    again, kept, _ = judged(out, "predictions", folder / "b")
    assert again == mean
    assert list(kept) == list(arrays)
    np.testing.assert_array_equal(kept["scores"].astype(dtype), arrays["scores"])
    np.testing.assert_array_equal(kept["scores"].argmax(axis=1), arrays["scores"].argmax(axis=1))


@pytest.mark.parametrize("style", FORMATS)
def test_keypoints_judged_again_are_equal_to_the_last_bit(folder, style):
    points = np.random.default_rng(0).normal(50, 30, (4, len(PARTS), 3))
    mean, arrays, run_id = judged({"image": TEST_FILES, "keypoints": points, "parts": PARTS}, "keypoints", folder / "a")
    out = folder / f"p{FORMATS[style]}"
    export_predictions("keypoints", run_id, folder / "a", style, out)
    again, kept, _ = judged(out, "keypoints", folder / "b")
    assert again == mean
    for name, values in arrays.items():
        np.testing.assert_array_equal(kept[name], values)


def test_records_without_such_predictions_are_refused(tmp_path):
    write_record(tmp_path / "records")
    assert prediction_tables(SEARCHED) == {}
    assert list(prediction_tables({**LOCATED, "ids": np.arange(40)})) == ["keypoints"]
    for arguments, message in (
        (("predictions", "a" * 16, tmp_path, None, None), "keeps no scores, and none that can be judged again"),
        (("predictions", "b" * 16, tmp_path, None, None), "no record b"),
        (("predictions", "a" * 16, tmp_path, "latex", None), "no format of predictions named 'latex'"),
        (("predictions", "a" * 16, tmp_path, None, tmp_path / "p.xlsx"), "no format of predictions for files .xlsx"),
    ):
        with pytest.raises(FgbenchError, match=message):
            export_predictions(*arguments)


def test_names_that_a_spreadsheet_would_change_and_formats_without_a_file_are_refused(folder, monkeypatch):
    _, _, run_id = judged({"id": TEST_IDS, "label": [1, 1, 1, 2]}, "predictions", folder)
    for style in ("npz", "parquet"):
        with pytest.raises(FgbenchError, match="needs an output file"):
            export_predictions("predictions", run_id, folder, style, None)
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(folder / "other")))
    (folder / "other/CUB_200_2011/classes.txt").write_text(f"1 {CLASSES[0]}\n2 =1+1\n")
    _, _, run_id = judged({"id": TEST_IDS, "label": [1, 1, 1, 2]}, "predictions", folder / "hostile")
    with pytest.raises(FgbenchError, match="a spreadsheet would change the name '=1\\+1'"):
        export_predictions("predictions", run_id, folder / "hostile", "csv", folder / "p.csv")

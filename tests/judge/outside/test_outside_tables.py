"""Tables of pandas, Parquet and NPZ files, and arrays: the same answers give the same value; faults have a message."""

import io
import pickle
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from few_birds import CLASSES, TEST_FILES, TEST_IDS

import fgbench
from fgbench.util.errors import FgbenchError

CELL = "bcnn/t1/bcnn_dd/birds"
SCORES = np.array([[0.9, 0.1], [2.0, -1.5], [0.6, 0.4], [0.2, 0.8]], dtype=np.float32)
TABLE = pd.DataFrame(SCORES, columns=list(CLASSES)).assign(image=TEST_FILES)
NAMED = {"id": TEST_IDS, "scores": SCORES, "classes": list(CLASSES)}


def mean(source, **arguments):
    return fgbench.judge(source, cell=CELL, **arguments).mean


@pytest.mark.parametrize(
    "source",
    [
        TABLE,
        TABLE.set_index("image"),
        TABLE.sample(frac=1, random_state=1)[["image", CLASSES[1], CLASSES[0]]],
        pd.DataFrame({"id": TEST_IDS, "label": pd.Categorical([CLASSES[k] for k in (0, 0, 0, 1)])}),
        pd.DataFrame({"id": TEST_IDS, "label": [1, 1, 1, 2]}),
        NAMED,
        NAMED | {"scores": SCORES[:, ::-1], "classes": list(CLASSES[::-1])},
        {"image": np.array(TEST_FILES, dtype=object), "label": np.array([b"1", b"1", b"1", b"2"])},
        SCORES,
        np.array([1, 1, 1, 2]),
    ],
    ids=lambda source: type(source).__name__,
)
def test_the_same_answers_in_every_form_give_the_same_value(source):
    assert mean(source) == 75.0


def test_parquet_and_npz_give_the_same_value_and_keep_float32(tmp_path):
    TABLE.to_parquet(tmp_path / "p.parquet")
    np.savez(tmp_path / "p.npz", **NAMED)
    for name in ("p.parquet", "p.npz"):
        verdict = fgbench.judge(tmp_path / name, cell=CELL, results=tmp_path)
        kept = fgbench.outputs(tmp_path, verdict.records[0].run_id)
        assert verdict.mean == 75.0
        assert kept["scores"].dtype == np.float32
        np.testing.assert_array_equal(kept["scores"], SCORES)
        assert kept["ids"].tolist() == TEST_IDS


def test_parquet_without_pyarrow_is_a_clear_message(tmp_path, monkeypatch):
    TABLE.to_parquet(tmp_path / "p.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FgbenchError, match="needs pyarrow") as error:
        mean(tmp_path / "p.parquet")
    assert "pip install 'fgbench[parquet]'" in error.value.hint


FAULTS = {
    "no names": (TABLE.drop(columns="image"), "has no column image or id"),
    "text for numbers": (TABLE.assign(split="test"), "the column 'split' holds"),
    "empty name": (TABLE.assign(image=[None, *TEST_FILES[1:]]), "column image: row 1 is empty"),
    "real numbers as labels": (pd.DataFrame({"id": TEST_IDS, "label": [1.0, 1, 1, 2]}), "column label holds float64"),
    "no rows": (TABLE.iloc[:0], "has a header, but no rows"),
    "array of another length": (SCORES[:3], "it has 3 rows, cub has 4 test images"),
    "array of another width": (np.hstack([SCORES, SCORES]), "it has scores of 4 classes, there are 2"),
    "array of three dimensions": (np.ones((4, 2, 3)), r"an array of shape \(4, 2, 3\) without names"),
    "labels that begin at 0": (np.array([0, 0, 0, 1]), "outside the official numbers"),
    "real labels": (np.array([1.0, 1, 1, 2]), "not one class for each image"),
    "unknown array": (NAMED | {"score": SCORES}, "the array 'score' is not known; did you mean 'scores'"),
    "image and id": (NAMED | {"image": TEST_FILES}, "both image and id"),
    "no images": ({"label": [1, 1, 1, 2]}, "it has no image and no id"),
    "no classes": ({"id": TEST_IDS, "scores": SCORES}, "but no classes"),
    "nothing": ({"id": TEST_IDS}, "but no label and no scores"),
    "ids as file names": ({"image": TEST_IDS, "label": [1, 1, 1, 2]}, "image holds no file names"),
    "fewer labels": ({"id": TEST_IDS, "label": [1, 1, 1]}, "it has 4 images, but 3 labels"),
    "fewer scores": (NAMED | {"scores": SCORES[:3]}, r"scores has the shape \(3, 2\), but there are 4 images"),
    "fewer names": (NAMED | {"classes": ["a"]}, "4 images and 1 classes"),
    "objects": ({"id": TEST_IDS, "label": [1, "b", None, 2]}, "neither numbers nor text"),
    "list of labels": ([1, 1, 1, 2], "an object of the type int is no file, table or array"),
    "tensor": (torch.ones(4, 2), "an object of the type Tensor is no file, table or array"),
    "not a number": (NAMED | {"scores": np.where(SCORES > 1, np.nan, SCORES)}, "scores of 1 image are not finite"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named(source, message):
    with pytest.raises(FgbenchError, match=message):
        mean(source)


def test_damaged_files_and_files_of_other_formats_are_refused(tmp_path):
    TABLE.to_parquet(tmp_path / "p.parquet")
    content = io.BytesIO()
    np.savez(content, id=TEST_IDS, label=np.array([1, "b", None, 2], dtype=object))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("sheet.xml", "<a/>")
    for name, damaged, message in (
        ("p.parquet", (tmp_path / "p.parquet").read_bytes()[:-20], "is a damaged Parquet file"),
        ("p.npz", content.getvalue(), "is not an NPZ file of plain arrays"),
        ("p.npz", content.getvalue()[:100], "is not an NPZ file of plain arrays"),
        ("p.xlsx", other.getvalue(), "is not an NPZ file of plain arrays"),
        ("p.pkl", pickle.dumps(NAMED), "neither CSV in UTF-8 nor Parquet nor NPZ"),
    ):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(FgbenchError, match=message):
            mean(tmp_path / name)

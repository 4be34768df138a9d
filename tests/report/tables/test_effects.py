"""The table of effects: runs on the same test images, paired with a reference run."""

import json

import numpy as np
import pytest
from command_line import answer_of, run
from scipy.stats import binomtest
from stored_records import record

from fgbench.metrics.values import measure
from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.report.tables.effects import effect_frame
from fgbench.util.errors import FgbenchError

A, B, C = ("a" * 16, "b" * 16, "c" * 16)


def write(folder, run_id, wrong, order=None, ids=None, **fields):
    """Write a record in which the images at the positions `wrong` are wrong, in another order of the images."""
    _, arrays = record()
    scores = np.eye(4, dtype=np.float32)[arrays["labels"]]
    scores[wrong] = np.roll(scores[wrong], 1, axis=1)
    arrays = {**arrays, "scores": scores, **({} if ids is None else {"ids": ids})}
    if order is not None:
        arrays = {name: values[order] for name, values in arrays.items()}
    values = measure(arrays)
    written, _ = record(run_id, **fields)
    return Store(folder).write({**written, "values": values}, arrays)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a reference, a run with other settings, and one on other test images."""
    write(tmp_path, A, [0, 1, 2], settings={"svm": {"c": 1.0}, "mirror": True})
    write(tmp_path, B, [2, 3, 4, 5, 6, 7, 8, 9], np.arange(40)[::-1], settings={"svm": {"c": 10.0}, "mirror": True})
    write(tmp_path, C, [0], ids=np.arange(40) + 1)
    return tmp_path


def test_images_are_paired_by_their_ids_and_only_runs_on_the_same_images_are_rows(folder):
    reference, other = effect_frame(Store(folder), A).to_dict("records")
    assert (reference["run"], reference["accuracy"], reference["differs"]) == (A, 92.5, "")
    assert (other["run"], other["differs"]) == (B, "svm.c 10.0 (1.0)")
    assert (other["accuracy"], other["difference"]) == (80.0, -12.5)
    assert (other["lost"], other["won"]) == (7, 2)
    exact = binomtest(2, 9).pvalue
    tie = binomtest(2, 9, alternative="less").pvalue - binomtest(1, 9, alternative="less").pvalue
    assert other["p"] == pytest.approx(exact - tie)


def test_other_seeds_protocols_and_code_are_named(tmp_path):
    write(tmp_path, A, [0])
    write(tmp_path, B, [1], seed=1)
    write(tmp_path, C, [1], provenance={"source": "x"})
    found = {row["run"]: row["differs"] for row in effect_frame(Store(tmp_path), A).to_dict("records")}
    assert found == {A: "", B: "seed 1 (0)", C: "code or machine"}


def test_settings_that_an_earlier_version_did_not_know_have_their_default(tmp_path):
    new = load_recipes()["bcnn/bcnn_dd_no_ft@cub"].settings.model_dump(mode="json")
    old = {name: value for name, value in new.items() if name != "fixed_blocks"}
    write(tmp_path, A, [0], settings={**old, "svm": {"c": 1.0}})
    write(tmp_path, B, [1], settings={**new, "svm": {**new["svm"], "c": 10.0, "calibrated": "weights"}})
    (differs,) = [row["differs"] for row in effect_frame(Store(tmp_path), A).to_dict("records")[1:]]
    assert differs == "svm.c 10.0 (1.0); svm.calibrated weights (weights_and_bias)"


def test_the_pipeline_of_the_test_images_stands_for_both(tmp_path):
    for run_id, side in ((A, 8), (B, 9)):
        settings = {"train_pipeline": f"resize({side}) | flip", "test_pipeline": f"resize({side})"}
        write(tmp_path, run_id, [0], settings=settings)
    _, other = effect_frame(Store(tmp_path), A).to_dict("records")
    assert other["differs"] == "test_pipeline resize(9) (resize(8))"


def test_a_run_without_accuracy_is_no_reference(tmp_path):
    fields, arrays = record(A, values={"pck": {"value": 1.0, "n": 1, "unit": "percent"}})
    path = Store(tmp_path)
    path.write(fields, arrays)
    with pytest.raises(FgbenchError, match="has no accuracy"):
        effect_frame(path, A)


def test_the_verb_prints_the_table(folder):
    code, text = run("export", "effects", A[:4], "--results", str(folder), "--format", "markdown")
    assert code == 0
    assert "| FV-SIFT | svm.c 10.0 (1.0) | 80.00 | -12.50 | 7 | 2 | " in text
    assert "| FV-SIFT | reference | 92.50 | \N{EN DASH} | \N{EN DASH} | \N{EN DASH} | \N{EN DASH} |" in text
    code, rows = answer_of("export", "effects", A, "--results", str(folder), "--json")
    assert (code, [row["run"] for row in rows]) == (0, [A, B])
    assert json.dumps(rows[0]["lost"]) == "null"


def test_the_verb_needs_a_run(folder):
    _, text = run("export", "effects", "--results", str(folder))
    assert "effects are those of one run, which is missing" in text

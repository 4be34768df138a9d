"""`fgbench predict` on runs that kept their networks."""

import json
import shutil
from dataclasses import replace

import mini
import numpy as np
import pytest
from command_line import run
from PIL import Image

from fgbench.records.store import store_of
from fgbench.runs.planning import planned_index


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A results folder with a B-CNN and part nets, the records, and files of test images."""
    folder = tmp_path_factory.mktemp("predict")
    chosen = mini.quick_run("bcnn/cbp_ts_dd@cub", size=48), mini.quick_run("keypoint_fcn/part_nets@cub")
    bcnn, parts = (mini.do(replace(one, keep_network=True), folder) for one in chosen)
    index = planned_index(chosen[0])
    test = index.select(~index.train)
    return folder, bcnn, parts, [str(test.root / file) for file in test.files[:3]]


def predict(folder, *arguments):
    return run("predict", *arguments, "--results", str(folder))


def test_json_has_the_classes_of_the_record(made):
    folder, record, _, files = made
    code, text = predict(folder, record.run_id[:8], *files, "--json", "--top", "2")
    assert code == 0, text
    answer = json.loads(text)
    assert (answer["run"], answer["network_sha256"]) == (record.run_id, record.network_sha256)
    assert answer["same_code"]
    arrays = store_of(folder).outputs(record)
    for row, entry in enumerate(answer["images"]):
        order = np.argsort(-arrays["scores"][row])[:2]
        assert entry["image"] == files[row]
        assert [one["class"] for one in entry["classes"]] == arrays["class_names"][order].tolist()
        expected = arrays["scores"][row][order]
        np.testing.assert_allclose([one["score"] for one in entry["classes"]], expected, rtol=1e-4, atol=1e-6)


def test_a_table_is_printed_for_each_image_and_a_note_about_other_code(made, monkeypatch):
    folder, record, parts, files = made
    code, text = predict(folder, record.run_id, *files)
    assert code == 0, text
    names = store_of(folder).outputs(record)["class_names"].tolist()
    assert all(text.count(name) == 3 + sum(name in file for file in files) for name in names)
    assert "probability" not in text
    assert "other code" not in text
    monkeypatch.setattr("fgbench.runs.kept_run.code_of", lambda method: "0")
    code, text = predict(folder, parts.run_id, files[0])
    assert code == 0, text
    assert "probability" in text
    assert "keypoints" in text
    assert "other code" in text


def test_drawings_are_written_for_each_image(made, tmp_path):
    folder, _, parts, files = made
    twice = tmp_path / "same name" / files[0].rpartition("/")[2]
    twice.parent.mkdir()
    shutil.copy(files[1], twice)
    code, text = predict(folder, parts.run_id, files[0], str(twice), "--draw", str(tmp_path / "drawn"))
    assert code == 0, text
    stem = twice.stem
    kinds = ("body crop", "head crop", "keypoints, found")
    written = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert written == sorted(f"{name} {kind}.png" for name in (stem, f"{stem} 2") for kind in kinds)
    first, second = (
        np.asarray(Image.open(tmp_path / "drawn" / f"{name} head crop.png")) for name in (stem, f"{stem} 2")
    )
    assert first.ndim == 3
    assert not np.array_equal(first, second)


def refused(folder, *arguments):
    code, text = predict(folder, *arguments)
    assert code != 0
    return text


def test_what_cannot_be_predicted_is_refused_before_any_work(made, tmp_path, monkeypatch):
    folder, record, _, files = made
    monkeypatch.setattr("fgbench.runs.kept_run.KeptRun.predict", lambda *_, **__: pytest.fail("work was done"))
    assert "no run 'zzz'" in refused(folder, "zzz", files[0])
    (tmp_path / "text.jpg").write_text("x")
    text = refused(folder, record.run_id, files[0], str(tmp_path / "no.jpg"), str(tmp_path / "text.jpg"))
    assert f"{tmp_path / 'no.jpg'} does not exist" in text
    assert f"{tmp_path / 'text.jpg'} is not an image" in text
    text = refused(folder, record.run_id, files[0], "--draw", str(tmp_path / "drawn"))
    assert "has no drawings: it has no attention, keypoints or samples" in text
    assert not (tmp_path / "drawn").exists()
    assert "no device named 'gpu'" in refused(folder, record.run_id, files[0], "--device", "gpu")
    assert "there is no folder" in refused(tmp_path / "nothing", record.run_id, files[0])


def test_a_photograph_with_an_orientation_is_told(made, tmp_path):
    folder, record, _, files = made
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(files[0]) as image:
        image.save(tmp_path / "turned.png", exif=exif)
    images = [files[1], str(tmp_path / "turned.png")]
    code, text = predict(folder, record.run_id, *images)
    assert code == 0, text
    assert text.count("note: ") == 1
    assert "its EXIF orientation is not applied" in text
    code, text = predict(folder, record.run_id, *images, "--json")
    assert [bool(entry["note"]) for entry in json.loads(text)["images"]] == [False, True]

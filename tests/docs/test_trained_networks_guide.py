"""The commands of the guide "Trained networks" are typed in an empty folder, in their order, on a few birds."""

import csv
import json
import runpy
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from documents import blocks, lines, page, write_files
from small_stand_in import few_synthetic_birds

from fgbench.records.store import store_of

GUIDE = page("docs/guides/trained_networks.md")


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """The folder, (verb, arguments, output) of each command, and the images by the names of the guide."""
    folder = tmp_path_factory.mktemp("typed")
    outputs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("FGBENCH_CACHE", str(folder / "cache"))
        images = sorted((few_synthetic_birds() / "images").rglob("*.jpg"))[4:6]
        for name, image in zip(("photo.jpg", "another.png"), images, strict=True):
            shutil.copy(image, folder / name)
        assert write_files(GUIDE, folder) == ["my_other_names.py", "my_names.toml"]
        for line in lines(GUIDE):
            outputs.append((line, typed_line(line)))
        (code,) = (block for block in blocks(GUIDE, "python") if not block.file)
        exec(compile(code.text, str(GUIDE), "exec"), {})
        yield folder, dict(outputs)


def typed_line(line):
    """Run a line as a shell would; return its output."""
    program, *words = shlex.split(line)
    if program == "python":
        runpy.run_path(words[0])
        return ""
    words = [str(path) for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word])]
    assert program == "fgbench"
    records = store_of(Path("runs")).records() if "RUN" in words else []
    words = [records[0].run_id[:8] if word == "RUN" else word for word in words]
    code, text = run(*words)
    assert code == 0, (line, text)
    return text


def first(folder):
    """Return the run whose network was kept, and the records from outside by the name of their file."""
    records = store_of(folder / "runs").records()
    (own,) = (record for record in records if record.external is None)
    return own, {record.external.file: record for record in records if record.external}


def test_the_network_is_evaluated_to_the_same_value_to_the_last_digit(typed):
    folder, _ = typed
    own, outside = first(folder)
    kept = f"{own.network_sha256[:16]}.safetensors"
    assert set(outside) == {kept, "theirs.pth", "predictions.csv"}
    scores = store_of(folder / "runs").outputs(own)["scores"]
    for name in (kept, "theirs.pth"):
        assert outside[name].values == own.values
        assert np.array_equal(store_of(folder / "runs").outputs(outside[name])["scores"], scores)


def test_the_predictions_are_judged_to_the_same_value(typed):
    folder, outputs = typed
    own, outside = first(folder)
    assert outside["predictions.csv"].values == own.values
    (text,) = (text for line, text in outputs.items() if line.startswith("fgbench judge"))
    assert f"predictions.csv (external): {own.values['accuracy'].value:.2f} %" in text
    assert "not comparable: measured on synthetic data" in text
    assert "anomaly: copy: " in text
    assert f"same output as in {own.title}, seed 0" in text


def test_the_images_get_classes_of_the_data(typed):
    folder, outputs = typed
    own, _ = first(folder)
    names = store_of(folder / "runs").outputs(own)["class_names"].tolist()
    (text,) = (text for line, text in outputs.items() if line == "fgbench predict RUN photo.jpg another.png")
    assert all(text.count(name) == 2 for name in names)
    (text,) = (text for line, text in outputs.items() if line.endswith("--json"))
    assert len(json.loads(text)["images"][0]["classes"]) == 3


def test_tensors_of_the_other_program_are_listed(typed):
    _, outputs = typed
    (text,) = (text for line, text in outputs.items() if line.endswith("--list"))
    assert "d_net." in text
    assert "streams.0." in text


def test_a_missing_a_double_and_an_unknown_image_are_refused_and_named(typed, monkeypatch):
    folder, _ = typed
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FGBENCH_CACHE", str(folder / "cache"))
    with (folder / "predictions.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    missing, double, unknown = rows[0][0], rows[1][0], "987654"
    wrong = [[unknown, *rows[0][1:]], rows[1], *rows[1:]]
    with (folder / "faults.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *wrong])
    before = store_of(folder / "runs").run_ids()
    (line,) = (line for line in lines(GUIDE) if line.startswith("fgbench judge"))
    code, text = run(*shlex.split(line.replace("predictions.csv", "faults.csv"))[1:])
    assert code != 0
    files = {str(row): file for row, file in birds_by_id(folder).items()}
    assert "1 of 16 test images missing" in text
    assert files[missing] in text
    assert double in text or files[double] in text
    assert unknown in text
    assert store_of(folder / "runs").run_ids() == before


def birds_by_id(folder):
    (path,) = (folder / "cache/data").glob("synthetic_birds-*/images.txt")
    return {int(line.split()[0]): line.split()[1] for line in path.read_text().splitlines()}

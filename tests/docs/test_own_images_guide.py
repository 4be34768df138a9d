"""The example of the guide "Own images" is run in an empty folder, from the text of the guide."""

import json
import re
import runpy
import shlex

import numpy as np
from command_line import run
from documents import blocks, lines, page, write_files
from own_folders import draw

from fgbench.datasets import find
from fgbench.datasets.image_folder import SUFFIXES
from fgbench.records.store import Store

GUIDE = page("docs/guides/own_images.md")


def test_three_made_up_classes_are_trained_and_predicted_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    assert write_files(GUIDE, tmp_path) == ["my_leaves.py"]
    (program, script), *commands = map(shlex.split, lines(GUIDE))
    assert program == "python"
    runpy.run_path(script)
    texts = {}
    store = Store(tmp_path / "runs/records")
    for word, *typed in commands:
        assert word == "fgbench"
        arguments = [store.records()[0].run_id[:8] if part == "RUN" else part for part in typed]
        code, texts[arguments[0]] = run(*arguments)
        assert code == 0, texts
    assert "leaves: 54 images of 3 classes, 36 for training, 0 problems" in texts["data"]
    assert "2 of 2 records verified" in texts["verify"]
    records = store.records()
    trees, scores = ["amber oak", "blue fern", "moss ash"], store.outputs(records[0])["scores"]
    printed = re.findall(rf"^\d +({'|'.join(trees)}) +(-?[\d.]+)", texts["predict"], re.MULTILINE)
    test_rows = scores[0], scores[13]  # amber oak/0.jpg and moss ash/1.jpg
    assert [tree for tree, _ in printed] == [trees[place] for row in test_rows for place in np.argsort(-row)]
    expected = np.concatenate([np.sort(row)[::-1] for row in test_rows])
    np.testing.assert_allclose([float(score) for _, score in printed], expected, atol=1e-4)
    for record in records:
        arrays = store.outputs(record)
        assert arrays["class_names"].tolist() == ["amber oak", "blue fern", "moss ash"]
        assert arrays["scores"].shape == (18, 3)
        assert record.values["accuracy"].value > 100 / 3
    assert "leaves (own images)" in (tmp_path / "runs/report/index.html").read_text(encoding="utf-8")


def test_the_split_file_of_the_guide_is_read(tmp_path):
    (text,) = (block.text for block in blocks(GUIDE) if block.text.startswith("file,"))
    (tmp_path / "split.csv").write_text(text, encoding="utf-8")
    index = find(f"imagefolder:{tmp_path}").index()
    assert index.classes == ("amber oak", "fern, blue")
    assert index.files == tuple(f"photos/{number:04d}.jpg" for number in (1, 2, 3, 4))


def test_the_folder_of_the_guide_is_read(tmp_path):
    (text,) = (block.text for block in blocks(GUIDE) if block.text.startswith("leaves/"))
    for number, line in enumerate(text.splitlines()):
        draw(tmp_path / line, number)
    assert sorted(find(f"imagefolder:{tmp_path}/leaves").index().files) == sorted(
        line.removeprefix("leaves/") for line in text.splitlines()
    )


def test_the_guide_lists_the_suffixes_and_every_kind_of_finding(tmp_path):
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"`{suffix}`" in text for suffix in SUFFIXES)
    rows = [("1.jpg", "a", "train"), ("2.jpg", "b", "train"), ("3.jpg", "a", "test")]
    (tmp_path / "split.csv").write_text("\n".join(map(",".join, [("file", "label", "split"), *rows])))
    code, found = run("data", "check", f"imagefolder:{tmp_path}", "--json")
    assert code == 1
    findings = json.loads(found)
    assert {entry["kind"] for entry in (*findings["problems"], *findings["notes"])} == {"missing", "class"}
    assert all(f"`{entry['kind']}`" in text for entry in (*findings["problems"], *findings["notes"]))

"""The files of the guide "Judge predictions" are written and judged, from the text of the guide."""

import numpy as np
import pytest
from command_line import run
from documents import blocks, lines, page, write_files
from few_birds import few_birds
from reid_folders import market

import fgbench
from fgbench.records.store import store_of

PAGE = page("docs/guides/judge.md")
VALUES = {
    "my_labels.csv": 75.0, "my_scores.csv": 75.0, "my_scores.npz": 75.0, "my_keypoints.csv": 75.0,
    "my_features.csv": 100.0, "my_distances.npz": 100.0,
}  # fmt: skip
"""File -> value that its command measures."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files of the guide, and the data sets that they are complete for."""
    few_birds(tmp_path / "data")
    market(tmp_path / "data/Market-1501-v15.09.15")
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    names = ["my_labels.csv", "my_scores.csv", "my_keypoints.csv", "my_features.csv", "my_faults.csv"]
    assert write_files(PAGE, tmp_path) == names
    for block in blocks(PAGE, "python"):
        exec(compile(block.text, str(PAGE), "exec"), {})
    return tmp_path


def test_every_example_of_the_guide_is_judged(folder):
    scores = (folder / "my_scores.csv").read_text()
    for seed in (1, 2):
        (folder / f"my_scores_{seed}.csv").write_text(scores.replace("0.6", f"0.{seed + 6}"))
    judged = set()
    for line in lines(PAGE):
        program, verb, *arguments = line.replace('"my model"', "model").split()
        assert program == "fgbench"
        if verb != "judge" or "my_faults.csv" in arguments:
            continue
        code, text = run(verb, *arguments)
        assert code == 0, text
        if arguments[1].startswith("--"):
            assert f"{arguments[0]} (external): {VALUES[arguments[0]]:.2f} %" in text
            judged.add(arguments[0])
    assert judged == set(VALUES) - {"my_scores.csv"}
    names = {record.external.name for record in store_of(folder / "runs").records()}
    assert names == judged | {"model", "two seeds"}


def test_the_faults_of_the_guide_are_named_and_nothing_is_written(folder):
    before = store_of(folder / "runs").run_ids()
    (line,) = (line for line in lines(PAGE) if "my_faults.csv" in line)
    code, text = run(*line.split()[1:])
    assert code != 0
    double, unknown = "Black_Footed_Albatross_0046_18.jpg", "Sooty_Albatross_0001_1111.jpg"
    missing = "Black_Footed_Albatross_0002_55.jpg"
    assert all(name in text for name in (double, unknown, missing)), text
    assert store_of(folder / "runs").run_ids() == before


def test_the_distances_of_the_guide_by_file_names_give_the_same_value(folder):
    by_person = dict(np.load("my_distances.npz"))
    table = np.genfromtxt("my_features.csv", delimiter=",", dtype=str, skip_header=1)[:, 0]
    by_name = {"distances": by_person["distances"], "query": table[:3], "gallery": table[3:]}
    cell = "where_to_focus/t3/ours_dm/market_map"
    assert fgbench.judge(by_name, cell=cell).mean == fgbench.judge(by_person, cell=cell).mean

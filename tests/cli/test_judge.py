"""`fgbench judge` and `fgbench export predictions` as typed."""

import json

import pytest
from command_line import program, run
from few_birds import TEST_FILES, few_birds

CELL = ("--cell", "bcnn/t1/bcnn_dd/birds")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(tmp_path / "data")))
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{name},{label}\n" for name, label in zip(TEST_FILES, (1, 1, 1, 2), strict=True))
    (tmp_path / "p.csv").write_text(f"image,label\n{rows}")
    return tmp_path


def test_the_verdict_is_printed_with_the_record_and_the_next_command(folder):
    code, text = run("judge", "p.csv", *CELL)
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == "p.csv (external): 75.00 % (printed 84 %, margin 0.77; bcnn/t1/bcnn_dd/birds)"
    assert lines[1].startswith("not comparable: ")
    assert lines[1].endswith("whether anything was selected on the test images")
    (record,) = (folder / "runs/records").glob("*.json")
    assert f"kept: runs/records/{record.name}" in lines
    assert lines[-2:] == ["next: fgbench report", f"next: fgbench show {record.stem}"]
    code, text = run("verify")
    assert code == 0
    assert "1 record of results from outside fgbench: nobody has checked how they were made" in text
    assert "p.csv (external)" in run("list", "runs")[1]
    assert "verdict on p.csv (external)" in run("show", CELL[1])[1]
    shown = json.loads(run("show", record.stem, "--json")[1])[record.stem]
    words = {row["what"]: row["value"] for row in shown}
    assert words["external"].startswith("predictions of p.csv, SHA-256 ")
    assert "nobody has checked" in words["not checked"]
    assert not {"time", "peak memory"} & set(words)
    code, _ = run("report")
    assert code == 0
    code, text = run("export", "predictions", record.stem[:6])
    assert (code, len(text.splitlines())) == (0, 5)


def test_json_has_the_verdict_and_the_files(folder):
    code, text = run("judge", "p.csv", *CELL, "--json", "--name", "mine", "--results", "other")
    answer = json.loads(text)
    assert (code, answer["measured"], answer["verdict"], answer["external"]) == (
        0,
        75.0,
        "not comparable",
        "predictions",
    )
    assert (answer["title"], answer["files"][0]["file"]) == ("mine (external)", "p.csv")
    assert answer["seeds_low"] is None
    assert (folder / "other/records").is_dir()


def test_a_mistake_is_one_sentence_with_exit_code_2_and_no_record(folder):
    text = (folder / "p.csv").read_text()
    (folder / "p.csv").write_text(text.replace(TEST_FILES[0], "nowhere.jpg") + f"{TEST_FILES[1]},1\n")
    done = program("judge", "p.csv", *CELL)
    assert (done.returncode, done.stdout) == (2, "")
    for part in ("1 image not in cub: 'nowhere.jpg'", "given more than once", "1 of 4 test images missing"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("judge", "no.csv", *CELL), "there is no file no.csv"),
        (("judge", "p.csv", "--cell", "bcnn/t1"), "no cell named 'bcnn/t1'"),
        (("export", "predictions"), "predictions are those of one run"),
        (("export", "values", "abc"), "values is not a table of one run"),
    ],
)
def test_other_mistakes(folder, arguments, message):
    code, text = run(*arguments)
    assert code != 0
    assert message in text


def test_results_from_outside_are_compared_by_their_name(folder):
    for results in ("a", "b"):
        for name in ("one", "two"):
            assert run("judge", "p.csv", *CELL, "--results", results, "--name", name)[0] == 0
    code, text = run("compare", "a", "b", "--json")
    assert code == 0, text
    rows = (folder / "p.csv").read_text().replace(",2", ",1")
    (folder / "p.csv").write_text(rows)
    assert run("judge", "p.csv", *CELL, "--results", "c", "--name", "one")[0] == 0
    code, text = run("compare", "a", "c")
    assert code == 1
    assert "external, two, seed 0" in text

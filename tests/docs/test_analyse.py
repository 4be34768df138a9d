"""The code of the guide on analysis is run from its text."""

import json

from documents import Shell, blocks, lines, page
from stored_records import record

from fgbench.records.store import Store

TABLES = ("runs", "phases", "differences")
ANALYSE = page("docs/guides/analyse.md")


def test_analyse(tmp_path, monkeypatch, capsys):
    store = Store(tmp_path / "runs/records")
    store.write(*record())
    store.write(*record("b" * 16, seed=1, synthetic=False))
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(ANALYSE, "python")
    names = {}
    exec(compile(code.text, str(ANALYSE), "exec"), names)
    assert len(names["values"]) == 6
    assert list(names["accuracy"].run_id) == ["b" * 16]
    assert set(names["arrays"]) == {"ids", "labels", "scores"}
    assert "(40, 4)" in capsys.readouterr().out
    shell = Shell(tmp_path)
    outputs = {line: shell(line) for line in lines(ANALYSE)}
    assert {"values.csv", "verdicts.csv", "curves.csv", "table.tex"} <= {path.name for path in tmp_path.iterdir()}
    runs, phases, differences = (outputs[f"fgbench export {name} --format markdown"] for name in TABLES)
    assert [row["seed"] for row in json.loads(outputs["fgbench list runs --json"])["runs"]] == [0, 1]
    assert json.loads(outputs["fgbench doctor --json"])["recipes"]
    assert "FV-SIFT" in runs
    assert "FV-SIFT" in phases
    assert "| Run | minus |" in differences  # a run is not compared with itself on other data

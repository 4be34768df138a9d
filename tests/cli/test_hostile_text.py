"""Control characters and formulas in records, file names and titles: none leaves fgbench in its output."""

import csv
import io
import json
import re
import unicodedata
from xml.etree import ElementTree

import pytest
from command_line import run
from stored_records import record

from fgbench.cli import console, faults
from fgbench.cli.progress import Progress
from fgbench.judge.nightly.findings import Check, Finding, build_comparison
from fgbench.judge.nightly.summary import junit, markdown
from fgbench.records.store import Store
from fgbench.util.errors import FgbenchError

HOSTILE = "=HYPERLINK(1)\x1b]0;x\x07\x9b31m\u202egpj\r\x00"
FORMULA = re.compile(r"[=+\-@\t\r]")


def controls(text):
    return [sign for sign in text if unicodedata.category(sign) in {"Cc", "Cf", "Cs"} and sign not in "\n\t"]


@pytest.fixture
def results(tmp_path):
    """A results folder with a hostile name, and a record that is hostile where it may be."""
    folder = tmp_path / "r\x1b[31m\u202e"
    fields, outputs = record()
    Store(folder / "records").write({**fields, "title": HOSTILE, "provenance": {"command": HOSTILE}}, outputs)
    return folder


@pytest.mark.parametrize(
    "verb",
    [
        ("verify", "--results", "{}"), ("report", "--results", "{}"), ("compare", "{}", "--results", "{}"),
        ("compare", "{}", "{}", "--json"),
        *(("export", table, "--results", "{}", "--format", style)
          for table in (
              "values", "runs", "answers", "outcomes", "curves", "phases", "differences", "verdicts", "bcnn/t1",
          )
          for style in ("csv", "json", "latex", "markdown")),
    ],
)  # fmt: skip
def test_no_verb_prints_control_characters(results, verb):
    code, text = run(*(str(results) if argument == "{}" else argument for argument in verb))
    assert code == 0, text
    assert text
    assert controls(text) == []


@pytest.mark.parametrize("table", ["values", "runs", "phases", "verdicts", "cells"])
def test_no_cell_of_csv_starts_a_formula(results, table):
    _, text = run("export", table, "--results", str(results))
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) > 1
    cells = [cell for row in rows for cell in row if FORMULA.match(cell)]
    assert [cell for cell in cells if not re.fullmatch(r"[+-]?[\d.]+(e[+-]\d+)?", cell)] == []
    if table == "runs":
        assert any(cell.startswith("'=HYPERLINK(1)\\x1b") for row in rows for cell in row)


def test_a_damaged_record_with_a_hostile_name_is_named_without_control_characters(results):
    (results / "records" / "a\x1b[2J.json").write_text("{")
    code, text = run("verify", "--results", str(results))
    assert code == 1
    assert "a\\x1b[2J.json" in text
    assert controls(text) == []


def test_an_error_message_has_no_control_characters(capsys):
    assert faults.print_mistake(FgbenchError(f"no {HOSTILE}", "a hint")) == 2
    text = capsys.readouterr().err
    assert text.endswith("\n  a hint\n")
    assert controls(text) == []


def test_tables_and_progress_have_no_control_characters(capsys):
    console.table(HOSTILE, [{HOSTILE: HOSTILE}])
    with Progress() as progress:
        watcher = progress.watch()
        watcher.progress(HOSTILE, HOSTILE, 0.5)
        watcher.note(HOSTILE)
        watcher.finished(HOSTILE, None, 1.0)
    console.print_json({HOSTILE: HOSTILE})
    text = capsys.readouterr().out
    assert text.count("HYPERLINK") >= 7
    assert controls(text) == []


def test_summary_and_junit_have_no_control_characters():
    found = [Finding("worse", "quality", HOSTILE, HOSTILE)]
    checks = [Check("quality", HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0.5, HOSTILE, HOSTILE)]
    result = build_comparison(HOSTILE, HOSTILE, found, checks)
    for text in (markdown(result), junit(result)):
        assert controls(text) == []
    (case,) = ElementTree.fromstring(junit(result)).iter("testcase")
    assert controls(case.get("name")) == []


def test_a_folder_that_is_not_utf_8_can_be_written_into_files(tmp_path):
    base = tmp_path / "\udcff"
    Store(base / "records").write(*record())
    code, text = run("compare", str(base), str(base), "--markdown", str(base / "s.md"), "--junit", str(base / "j.xml"))
    assert code == 0, text
    assert "\\udcff" in (base / "s.md").read_text(encoding="utf-8").replace("\\\\", "\\")
    assert json.loads(run("compare", str(base), str(base), "--json")[1])["base"] == str(base)

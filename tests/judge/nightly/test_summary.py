"""JUnit has a test case for each row of the tables of Markdown."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from made_nights import folder
from made_records import of_right

from fgbench.judge.nightly.findings import Check, Comparison, Finding, build_comparison
from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.results_folder import read_folder
from fgbench.judge.nightly.summary import junit, markdown

RIGHT = np.random.default_rng(0).random(400) < 0.8
PLAIN = [
    Check("speed", "bench", "1", "2", "+1", 0.0, "test against the last nights"),
    Check("speed", "bench", "1", "2", "+1", 0.5, "test against the first nights"),
    Check("quality", "run: accuracy", "80", "70", "-10", 0.0, "a test"),
    Check("quality", "run: accuracy, spread over seeds", "1", "1", "none", 1.0, "F test"),
]
FOUND = [
    Finding("worse", "speed", "bench", "slower"),
    Finding("worse", "quality", "run: accuracy", "80 to 70"),
    Finding("worse", "quality", "run: accuracy", "against the fixed baseline: 81 to 70"),
    Finding("was not run", "quality", "other run", "missing"),
    Finding("broken", "quality", "other run", "damaged"),
    Finding("was not run", "nights", "baseline", "missing"),
    Finding("better", "quality", "third run: accuracy", "a leak"),
    Finding("new", "quality", "new run", "not in the baseline"),
    Finding("note", "quality", "values", "small changes"),
]


def table_rows(text):
    """Return the rows of all tables of a Markdown text, without their heads."""
    return [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| | ")]


def cases(result):
    top = ElementTree.fromstring(junit(result))
    found = top.findall(".//testcase")
    assert int(top.get("tests")) == len(found)
    assert int(top.get("failures")) == len(top.findall(".//failure"))
    return found


@pytest.mark.parametrize("checks", [PLAIN, []], ids=["busy", "only findings"])
def test_junit_has_a_case_for_each_row_of_markdown(checks):
    result = build_comparison("a", "b", FOUND, checks)
    text, found = markdown(result), cases(result)
    assert len(found) == len(table_rows(text)) == len(result.rows)
    names = [(case.get("classname"), case.get("name")) for case in found]
    assert len(set(names)) == len(names)
    titles = [int(number) for number in re.findall(r"<summary>[^:]*: (\d+) tests?</summary>", text)]
    assert sum(titles) == len(found)


def test_two_checks_of_a_benchmark_are_two_cases():
    result: Comparison = build_comparison("a", "b", FOUND, PLAIN)
    failed = {case.get("name"): case.find("failure") for case in cases(result)}
    assert failed["bench, test against the first nights"] is not None
    assert failed["run: accuracy, spread over seeds"] is None
    assert failed["other run"].get("type") == "broken, was not run"
    assert failed["third run: accuracy"].get("type") == "better"
    assert failed["run: accuracy"].text == "80 to 70\nagainst the fixed baseline: 81 to 70"


def test_a_busy_comparison_of_folders(tmp_path):
    """Values that are lost, a run that is missing, one that is new, and one with other settings."""
    lost = RIGHT.copy()
    lost[np.flatnonzero(RIGHT)[:90]] = False
    others = {"selection": "best epoch"}
    base = [of_right(RIGHT, seed=0), of_right(RIGHT, seed=1), of_right(RIGHT, "bcnn/bcnn_dm@cub")]
    head = [of_right(lost, seed=0), of_right(lost, seed=1), of_right(RIGHT, "bcnn/bcnn_mm@cub")]
    changed = [of_right(RIGHT, "bcnn/fc_cnn_d@cub"), of_right(RIGHT, "bcnn/fc_cnn_d@cub", protocol=others)]
    nights = [
        read_folder(folder(tmp_path / name, *pairs))
        for name, pairs in (("a", [*base, changed[0]]), ("b", [*head, changed[1]]))
    ]
    result = build_comparison("a", "b", *compare_quality(*nights))
    assert {finding.kind for finding in result.findings} >= {"worse", "was not run", "new", "changed"}
    assert len(cases(result)) == len(table_rows(markdown(result))) == len(result.checks) + 2

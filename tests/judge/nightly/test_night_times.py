"""Times of whole nights: what is kept of a slower benchmark, and nights in which nothing was compared."""

import shutil
from xml.etree import ElementTree

import bench_file
import pytest
from made_nights import bench, folder
from made_records import of_right
from night_folders import RIGHT, tonight
from test_history import night

from fgbench.judge.nightly import night_comparison
from fgbench.judge.nightly.history import append_night, read_history
from fgbench.judge.nightly.night_comparison import compare_folders, judge_night
from fgbench.judge.nightly.night_storage import finish_night
from fgbench.judge.nightly.summary import junit, markdown
from fgbench.judge.nightly.timing import MIN_NIGHTS

NAME = "benchmarks/test_x.py::test_compact bilinear pooling[fgbench]"
MACHINE = "Fake Xeon, 2 cores, torch not named"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(night_comparison, "hash_code", lambda: "code")
    monkeypatch.setattr(night_comparison, "git_state", lambda: {"commit": "c"})


@pytest.fixture
def results(tmp_path):
    """A results folder whose first night was judged and whose history has many quiet nights."""
    tonight(tmp_path)
    judge(tmp_path)
    for k in range(2 * MIN_NIGHTS):
        times = bench(NAME, seconds=0.2 * (1 + 0.004 * (k % 3)), version="0123456789ab", machine=MACHINE)
        append_night(tmp_path, night(benches=(times,), values={}, units={}))
    return tmp_path


def judge(results, **options):
    result, judged = judge_night(results, **options)
    finish_night(results)
    return result, judged


def only_times(results, seconds=0.2):
    """Write a night without records."""
    (results / "tonight").mkdir(parents=True)
    for k in range(3):
        rows = bench_file.content(bench_file.hot(rounds_of_reference=[seconds] * 3))
        bench_file.write(results / "tonight" / f"benchmarks-{k}.json", rows)


def of_speed(result):
    return [(finding.kind, finding.where) for finding in result.findings if finding.of == "speed"]


def test_a_slower_benchmark_is_noted_then_fails_and_is_accepted(results):
    for count in range(6):
        tonight(results, seconds=0.3)
        result, judged = judge(results)
        assert of_speed(result) == [("note" if count < 3 else "worse", NAME)]
        assert judged.passed == (count < 3)
        assert judged.benches[0].beyond_limit == "slower"
    tonight(results, seconds=0.3)
    result, judged = judge(results, accept=True)
    assert judged.passed
    assert judged.benches[0].beyond_limit == ""
    # The accepted night is the first one of the new level.
    tonight(results, seconds=0.3)
    result, judged = judge(results)
    assert judged.passed
    assert f"1 of the {MIN_NIGHTS} earlier nights" in result.findings[-1].text


def test_marks_are_kept_in_the_history(results):
    tonight(results, seconds=0.3)
    judge(results)
    assert [one.benches[0].beyond_limit for one in read_history(results)[-2:]] == ["", "slower"]


def test_a_slow_machine_for_one_night_does_not_fail(results):
    tonight(results, seconds=0.6)
    assert judge(results)[0].exit_code == 0
    for _ in range(4):
        tonight(results)
        result, _ = judge(results)
        assert of_speed(result) == []


def said_in_all_ways(result, text):
    """Check that Markdown and JUnit say that benchmarks were not compared."""
    assert text in markdown(result)
    cases = [
        case for case in ElementTree.fromstring(junit(result)).iter("testcase") if case.find("skipped") is not None
    ]
    assert any(text in case.find("skipped").get("message") for case in cases)
    for suite in ElementTree.fromstring(junit(result)):
        assert int(suite.get("skipped")) == sum(case.find("skipped") is not None for case in suite)


def test_another_machine_is_seen_though_values_were_compared(results):
    tonight(results)
    for path in (results / "tonight").glob("benchmarks-*.json"):
        path.write_text(path.read_text().replace("Fake Xeon", "Other CPU"))
    result, _ = judge(results)
    assert result.exit_code == 0
    assert result.verdict.endswith("compared: nothing differs; no benchmark was compared")
    said_in_all_ways(result, "the machine changed")


def nothing_before(place):
    only_times(place)


def another_machine(place):
    nothing_before(place)
    judge(place)
    only_times(place)
    for path in (place / "tonight").glob("benchmarks-*.json"):
        path.write_text(path.read_text().replace("Fake Xeon", "Other CPU"))


def too_few_nights(place):
    nothing_before(place)
    judge(place)
    only_times(place)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("way", [nothing_before, another_machine, too_few_nights])
def test_a_night_in_which_nothing_was_compared_is_not_a_pass(tmp_path, way, required):
    way(tmp_path)
    result, judged = judge(tmp_path, require_baseline=required)
    assert result.checks == ()
    assert result.verdict == "not run: nothing was compared"
    assert result.exit_code == int(required)
    assert judged.passed != required
    assert ("comparison" in [finding.where for finding in result.of_kind("was not run")]) == required
    assert markdown(result).startswith("## ❌ not run" if required else "## ⚪ not run")
    assert ElementTree.fromstring(junit(result)).get("failures") == str(len(result.failures))
    assert "no value and no benchmark was compared" in junit(result)


def test_a_missing_history_or_baseline_is_a_failure_without_the_option(tmp_path):
    for number, lost in enumerate(("history.jsonl", "baseline", "fixed")):
        place = tmp_path / str(number)
        tonight(place)
        judge(place)
        shutil.rmtree(place / lost) if (place / lost).is_dir() else (place / lost).unlink()
        tonight(place)
        result, _ = judge(place)
        assert result.exit_code == 1
        assert result.verdict.startswith("not run: nothing was compared")
        assert "is missing" in markdown(result)


def test_times_are_judged_though_no_night_before_passed(tmp_path):
    for _ in range(MIN_NIGHTS):
        only_times(tmp_path)
        assert judge(tmp_path, require_baseline=True)[0].exit_code == 1
    only_times(tmp_path)
    result, _ = judge(tmp_path, require_baseline=True)
    assert [check.where for check in result.checks] == [NAME]


def test_two_folders_without_anything_in_common_were_not_compared(tmp_path):
    only_times(tmp_path / "a")
    folder(tmp_path / "b" / "tonight", of_right(RIGHT))
    result = compare_folders(tmp_path / "a" / "tonight", tmp_path / "b" / "tonight")
    assert result.exit_code == 1
    assert result.verdict.startswith("not run: nothing was compared")


def test_two_folders_of_other_machines_were_not_compared(tmp_path):
    for name in "ab":
        only_times(tmp_path / name)
    for path in (tmp_path / "b").rglob("benchmarks-*.json"):
        path.write_text(path.read_text().replace("Fake Xeon", "Other CPU"))
    result = compare_folders(tmp_path / "a" / "tonight", tmp_path / "b" / "tonight")
    assert result.exit_code == 1
    assert result.verdict == "not run: nothing was compared"
    said_in_all_ways(result, "the machine changed")


def test_two_folders_with_other_runs_were_not_compared(tmp_path):
    base = folder(tmp_path / "a", of_right(RIGHT, "bcnn/bcnn_dd@cub"))
    head = folder(tmp_path / "b", of_right(RIGHT, "bcnn/fc_cnn_d@cub"))
    result = compare_folders(base, head)
    assert result.exit_code == 1
    assert result.verdict.startswith("not run: nothing was compared")
    assert [finding.of for finding in result.of_kind("was not run")] == ["quality", "nights"]

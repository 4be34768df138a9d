import json
import shutil
from xml.etree import ElementTree

import pytest
from command_line import program, run
from made_nights import bench, folder
from made_records import of_right
from night_folders import RIGHT, fewer, tonight

from fgbench.judge.nightly.findings import Check, Finding, build_comparison
from fgbench.judge.nightly.history import Night, append_night, baseline_nights, read_history
from fgbench.judge.nightly.night_comparison import compare_folders
from fgbench.judge.nightly.summary import junit, markdown
from fgbench.util.errors import FgbenchError

HOSTILE = "<script>alert(1)</script>\"'&"


def nightly(results, *arguments):
    return run("nightly", "--results", str(results), *arguments)


def test_the_second_night_is_compared_with_the_first(tmp_path):
    tonight(tmp_path)
    code, text = nightly(tmp_path)
    assert code == 0
    assert "there is no earlier night" in text
    tonight(tmp_path)
    code, text = nightly(tmp_path)
    assert code == 0
    assert "2 values and benchmarks compared: nothing differs" in text
    assert len(read_history(tmp_path)) == 2
    assert not (tmp_path / "tonight").exists()
    for name in ("summary.md", "junit.xml", "comparison.json", "report/history.html", "report/index.html"):
        assert (tmp_path / name).stat().st_size


def test_a_failure_is_reported_every_night_until_it_is_fixed_or_accepted(tmp_path):
    tonight(tmp_path)
    assert nightly(tmp_path)[0] == 0
    for _ in range(2):
        tonight(tmp_path, fewer(40), seconds=0.4)
        code, text = nightly(tmp_path)
        assert code == 1
        assert "bcnn/bcnn_dd@cub (paper, seed 0): accuracy" in text
        found = json.loads((tmp_path / "comparison.json").read_text())["findings"]
        assert [(f["kind"], f["of"]) for f in found if f["kind"] != "note"] == [("worse", "quality")]
    tonight(tmp_path, fewer(40), seconds=0.4)
    assert nightly(tmp_path, "--accept")[0] == 0
    tonight(tmp_path, fewer(40), seconds=0.4)
    assert nightly(tmp_path)[0] == 0
    tonight(tmp_path, fewer(80), seconds=0.4)
    assert nightly(tmp_path)[0] == 1


def test_a_required_or_lost_baseline_is_a_failure(tmp_path):
    tonight(tmp_path / "a")
    code, text = nightly(tmp_path / "a", "--require-baseline")
    assert code == 1
    assert "there is no earlier night" in text
    tonight(tmp_path / "b")
    assert nightly(tmp_path / "b")[0] == 0
    shutil.rmtree(tmp_path / "b" / "baseline")
    tonight(tmp_path / "b")
    code, text = nightly(tmp_path / "b")
    assert code == 1
    assert "is missing" in text
    tonight(tmp_path / "c")
    assert nightly(tmp_path / "c")[0] == 0
    (tmp_path / "c" / "history.jsonl").unlink()
    tonight(tmp_path / "c")
    assert nightly(tmp_path / "c")[0] == 1


def test_many_small_losses_are_found_against_the_fixed_baseline(tmp_path):
    for count in (0, 10, 20):
        tonight(tmp_path, fewer(count))
        assert nightly(tmp_path)[0] == 0
    tonight(tmp_path, fewer(34))
    assert nightly(tmp_path)[0] == 1
    assert "against the fixed baseline" in (tmp_path / "summary.md").read_text()
    name = "bcnn/bcnn_dd@cub (paper, seed 0): accuracy"
    assert len({night.values[name] for night in read_history(tmp_path)}) == 4
    tonight(tmp_path, fewer(34))
    assert nightly(tmp_path, "--accept")[0] == 0
    tonight(tmp_path, fewer(48))
    assert nightly(tmp_path)[0] == 0


def test_a_fixed_baseline_in_another_folder_is_read_but_not_written(tmp_path):
    kept, results = tmp_path / "reports", tmp_path / "runs"
    tonight(tmp_path / "old")
    assert nightly(tmp_path / "old", "--fixed", str(kept))[0] == 0  # the first of all is kept there
    before = sorted((path, path.stat().st_mtime_ns) for path in kept.rglob("*"))
    assert {path.suffix for path, _ in before} == {"", ".json", ".npz"}
    tonight(results, fewer(60))
    code, text = nightly(results, "--fixed", str(kept))
    assert code == 1
    assert "60 images lower" in text
    tonight(results)
    assert nightly(results, "--fixed", str(kept))[0] == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in kept.rglob("*")) == before


def test_a_missing_benchmark_fails_until_it_is_back(tmp_path):
    tonight(tmp_path)
    assert nightly(tmp_path)[0] == 0
    for _ in range(2):
        folder(tmp_path / "tonight", of_right(RIGHT))
        code, text = nightly(tmp_path)
        assert code == 1
        assert "was not run" in text
    tonight(tmp_path)
    assert nightly(tmp_path)[0] == 0


def test_times_that_cannot_be_read_are_broken(tmp_path):
    tonight(tmp_path)
    assert nightly(tmp_path)[0] == 0
    tonight(tmp_path)
    (tmp_path / "tonight" / "benchmarks-1.json").write_text("{")
    code, text = nightly(tmp_path)
    assert code == 1
    assert "benchmarks-1.json is not JSON" in text


def test_a_broken_night_cannot_be_accepted(tmp_path):
    tonight(tmp_path)
    assert nightly(tmp_path)[0] == 0
    tonight(tmp_path)
    (tmp_path / "tonight" / "benchmarks-1.json").write_text("{")
    assert nightly(tmp_path, "--accept")[0] == 1
    tonight(tmp_path)
    code, text = nightly(tmp_path)
    assert code == 0
    assert "2 values and benchmarks compared: nothing differs" in text


def test_a_missing_night_and_a_damaged_history_are_errors(tmp_path):
    code, text = nightly(tmp_path)
    assert code != 0
    assert f"there is no folder {tmp_path}/tonight\n  tox -e nightly" in text
    tonight(tmp_path)
    (tmp_path / "history.jsonl").write_text('{"finished": 3}\n')
    code, text = nightly(tmp_path)
    assert code != 0
    assert "line 1" in text


def test_compare_prints_writes_files_and_sets_the_exit_code(tmp_path):
    base, head = folder(tmp_path / "a", of_right(RIGHT)), folder(tmp_path / "b", of_right(fewer(40)))
    files = ("--markdown", str(tmp_path / "s.md"), "--junit", str(tmp_path / "j.xml"))
    code, text = run("compare", str(base), str(head), *files)
    assert code == 1
    assert "40 images lower" in text
    assert "### Worse (1)" in (tmp_path / "s.md").read_text()
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "1"
    code, text = run("compare", str(head), str(base), "--json")
    assert code == 1  # an unexplained gain fails as a loss does
    assert [f["kind"] for f in json.loads(text)["findings"]] == ["better"]


def empty(place):
    (place / "records").mkdir()


def of_another_version(place):
    folder(place, of_right(RIGHT))
    for path in (place / "records").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))


def damaged(place):
    folder(place, of_right(RIGHT))
    for path in (place / "records").glob("*.json"):
        path.write_bytes(path.read_bytes()[:200] + b"\xff\x00")


def no_times(place):
    folder(place, of_right(RIGHT))
    (place / "benchmarks-1.json").write_text('{"benchmarks": 3}')


@pytest.mark.parametrize("side", ["base", "head"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda place: place.rmdir(), "there is no folder"),
        (lambda place: (place.rmdir(), place.write_text("mine")), "bad is not a folder"),
        (empty, "no records and no benchmark times"),
        (of_another_version, "no record that can be read"),
        (damaged, "no record that can be read"),
        (no_times, "not a file of pytest-benchmark"),
    ],
    ids=["none", "file", "empty", "version", "damaged", "times"],
)
def test_a_folder_that_cannot_be_compared_is_the_users_mistake(tmp_path, wrong, message, side):
    good, bad = folder(tmp_path / "good", of_right(RIGHT)), tmp_path / "bad"
    bad.mkdir()
    wrong(bad)
    with pytest.raises(FgbenchError, match=message):
        compare_folders(*((bad, good) if side == "base" else (good, bad)))


def test_a_users_mistake_is_a_sentence_and_exit_code_2(tmp_path):
    done = program("compare", str(tmp_path / "a"), str(tmp_path / "b"))
    assert done.returncode == 2
    assert done.stderr.startswith("fgbench: there is no folder")
    assert "Traceback" not in done.stderr


def test_junit_and_markdown_contain_every_finding_and_escape_names():
    found = [Finding("worse", "speed", HOSTILE, "a|b\x00"), Finding("new", "quality", "n", "not there")]
    checks = [Check("speed", HOSTILE, "1", "2", "+1", 0.0, "t"), Check("quality", "q", "1", "1", "none", 1.0, "t")]
    result = build_comparison("a", "b", found, checks)
    top = ElementTree.fromstring(junit(result))
    assert (top.tag, top.get("tests"), top.get("failures")) == ("testsuites", "2", "1")
    for suite in top:
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases)
        assert int(suite.get("failures")) == sum(case.find("failure") is not None for case in cases)
    (case,) = top.findall(".//testcase[failure]")
    assert case.get("name") == HOSTILE
    text = markdown(result)
    assert text.startswith("## ❌")
    assert "<script" not in text
    assert r"a\|b" in text
    assert "### Worse (1)" in text
    assert "### New (1)" in text


def one(k, value, name="v", passed=True, accepted=False, failed=()):
    return Night(
        finished=f"2026-01-{k + 1:02}", commit="", source="s", passed=passed, accepted=accepted,
        values={name: value}, units={name: "%"}, benches=(), failed=failed,
    )  # fmt: skip


def test_a_night_is_added_at_the_end_of_the_history(tmp_path):
    append_night(tmp_path, one(0, 1.25))
    before = (tmp_path / "history.jsonl").read_text()
    append_night(tmp_path, one(1, 1.5))
    assert (tmp_path / "history.jsonl").read_text().startswith(before)
    assert read_history(tmp_path) == [one(0, 1.25), one(1, 1.5)]
    (tmp_path / "history.jsonl").write_text(before[:-20] + "\n")
    with pytest.raises(FgbenchError, match="line 1"):
        read_history(tmp_path)


def test_a_slower_night_is_not_a_baseline_until_it_is_accepted():
    quiet, slow = (one(0, 1.0).model_copy(update={"benches": (bench(seconds=s),)}) for s in (1, 2))
    failed = slow.model_copy(update={"failed": ("b",), "passed": False})
    # In the last nights it is marked: they show how long the benchmark has been slower.
    marked = (slow.benches[0].model_copy(update={"beyond_limit": "slower"}),)
    assert baseline_nights([quiet, failed]) == [quiet.benches, marked]
    assert baseline_nights([quiet, *[failed] * 9]) == [quiet.benches, *[marked] * 6]
    accepted = failed.model_copy(update={"accepted": True, "passed": True})
    assert baseline_nights([quiet, accepted]) == [(), slow.benches]

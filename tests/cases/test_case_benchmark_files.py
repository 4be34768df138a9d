"""Files of benchmarks as other versions of pytest-benchmark, other projects and other programs leave them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_file
import pytest
from bench_file import benchmark, content, hot, write
from command_line import answer_of, program, run

from fgbench.judge.nightly.benchmark_times import read_benchmark_times
from fgbench.judge.nightly.night_comparison import compare_folders
from fgbench.speed.bench_files import read_named, read_speed, without_copies
from fgbench.speed.bench_rows import read_session
from fgbench.util.errors import FgbenchError


def row(name: str = "path", relative: float = 1.0) -> dict[str, Any]:
    return hot(name, rounds_of_reference=[relative])


def foreign(name: str = "test_other", **info: Any) -> dict[str, Any]:
    return benchmark(None, name, 0.1, info)


def of_version_3_0(*names: str) -> dict[str, Any]:
    """Return a file of other benchmarks as pytest-benchmark 3.0 writes it."""
    whole = content(*map(foreign, names))
    del whole["machine_info"]["cpu"]
    for entry in whole["benchmarks"]:
        for field in ("extra_info", "param", "params"):
            del entry[field]
        for field in ("ops", "total", "data"):
            del entry["stats"][field]
    return whole


def sessions(folder: Path, *, times: float = 1.0, count: int = 3) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write(folder / f"benchmarks-{number}.json", content(row(relative=times + number / 100)))
        for number in range(count)
    ]


def test_a_file_of_pytest_benchmark_3_0_has_no_row_of_fgbench(tmp_path: Path) -> None:
    """Files of version 3.0 have no `extra_info`, `ops` and `cpu`: its own later versions failed on them.

    Report: https://github.com/ionelmc/pytest-benchmark/issues/81
    """
    path = write(tmp_path / "old.json", of_version_3_0("test_a", "test_b"))
    with pytest.raises(FgbenchError, match=r"old\.json has no row of fgbench among its 2 benchmarks") as error:
        read_session(path)
    assert error.value.hint
    assert read_benchmark_times([path]) == ()


@pytest.mark.parametrize("info", [None, "Raspberry Pi 5"])
def test_a_file_with_no_or_a_text_as_machine_is_read(tmp_path: Path, info: str | None) -> None:
    """A hook of a project may replace `machine_info` by null or a text, to hide or to name a machine.

    Report on the fields: https://github.com/ionelmc/pytest-benchmark/issues/193
    """
    path = write(tmp_path / "b.json", content(row(), machine_info=info, commit_info=info))
    session = read_session(path)
    assert session.machine == (info or "unknown processor")
    assert (session.platform, session.python, session.commit) == ("", "", info or "")
    (bench,) = read_benchmark_times([path])
    assert bench.machine.startswith(f"{info or 'a processor not named'}, ? cores")


def test_times_of_machines_without_a_name_are_compared_with_a_note(tmp_path: Path) -> None:
    """If neither file names its machine, the two may be of different machines."""
    for name in ("base", "head"):
        (tmp_path / name).mkdir()
        for number in range(3):
            whole = content(row(relative=1 + number / 100), machine_info=None)
            write(tmp_path / name / f"benchmarks-{number}.json", whole)
    result = compare_folders(tmp_path / "base", tmp_path / "head")
    assert [check.of for check in result.checks] == ["speed"]
    assert [finding.where for finding in result.findings if "do not name their machine" in finding.text] == [
        f"machine of {tmp_path / name}" for name in ("base", "head")
    ]


def test_rows_of_other_projects_are_left_out_and_counted(tmp_path: Path) -> None:
    """The storage of a project that uses fgbench has its own benchmarks beside those of fgbench."""
    path = write(tmp_path / "b.json", content(row(), bench_file.peer(), foreign(note="x"), foreign(), foreign()))
    session = read_session(path)
    assert (len(session.rows), session.others) == (1, 3)
    assert read_named([path])[1] == ["b.json: 3 benchmarks of other projects left out"]
    counts: list[tuple[Path, int, int]] = []
    assert len(read_benchmark_times([path], lambda *numbers: counts.append(numbers))) == 1
    assert counts == [(path, 1, 3)]


@pytest.mark.parametrize("damage", [
    lambda entry: entry.update(stats={"median": None}), lambda entry: entry.pop("stats"),
    lambda entry: entry.update(extra_info=None), lambda entry: entry.pop("name"),
])  # fmt: skip
def test_a_row_of_another_project_may_lack_any_field(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    """A benchmark of another project that failed has null statistics; that is no fault of the rows of fgbench."""
    other = foreign()
    damage(other)
    path = write(tmp_path / "b.json", content(other, row()))
    assert (len(read_session(path).rows), read_session(path).others) == (1, 1)
    assert len(read_benchmark_times([path])) == 1


@pytest.mark.parametrize("which", [".benchmarks", ".benchmarks/Linux-CPython-3.11-64bit"])
def test_a_storage_folder_is_read(tmp_path: Path, which: str) -> None:
    """`--benchmark-save` writes `.benchmarks/<machine>/<number>_<name>.json`, and people name the folder.

    Report on its names: https://github.com/ionelmc/pytest-benchmark/issues/185
    """
    folder = tmp_path / ".benchmarks" / "Linux-CPython-3.11-64bit"
    folder.mkdir(parents=True)
    write(folder / "0001_first.json", content(row(relative=1.0)))
    write(folder / "0002_other.json", of_version_3_0("test_a"))
    write(folder / "0003_second.json", content(row(relative=2.0), foreign()))
    (folder / "._0001_first.json").write_bytes(b"\0\5\x16\7")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    read, left_out = read_named([tmp_path / which])
    assert [session.file for session in read] == ["0001_first.json", "0003_second.json"]
    assert left_out == [
        f"{name}.json: 1 benchmark of other projects left out" for name in ("0002_other", "0003_second")
    ]
    base = sessions(tmp_path / "base")
    result = compare_folders(tmp_path / "base", tmp_path, base, [tmp_path / which])
    assert [finding.where for finding in result.findings if "other projects" in finding.text] == [
        str(folder / name) for name in ("0002_other.json", "0003_second.json")
    ]


@pytest.mark.parametrize("make", [
    lambda folder: None, lambda folder: write(folder / "old.json", of_version_3_0("test_a")),
])  # fmt: skip
def test_a_folder_without_a_row_of_fgbench_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A folder of other benchmarks, or an empty one, gives no page and no comparison without a word."""
    folder = tmp_path / ".benchmarks"
    folder.mkdir()
    make(folder)
    base = sessions(tmp_path / "base")
    with pytest.raises(FgbenchError, match=r"no JSON file|no file in .* has a row of fgbench"):
        read_named([folder])
    with pytest.raises(FgbenchError, match=r"no JSON file|no benchmark of fgbench"):
        compare_folders(tmp_path / "base", tmp_path / "base", base, [folder])


def test_compare_fails_if_it_uses_no_row_of_a_named_file(tmp_path: Path) -> None:
    """A comparison of times that were not used passed, and a slower program with it."""
    for name in ("base", "head"):
        sessions(tmp_path / name)
    path = write(tmp_path / "other.json", of_version_3_0("test_a", "test_b"))
    message = "other.json has no benchmark of fgbench with times of the reference workload; 2 benchmarks of other"
    for times in ({"base_times": [path]}, {"head_times": [*sessions(tmp_path / "head"), path]}):
        with pytest.raises(FgbenchError, match=re.escape(message)):
            compare_folders(tmp_path / "base", tmp_path / "head", **times)
    done = program("compare", str(tmp_path / "base"), str(tmp_path / "head"), "--head-times", str(path))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_compare_names_what_it_left_out(tmp_path: Path) -> None:
    """Rows that are left out of a folder's own files are counted, too."""
    for name in ("base", "head"):
        files = sessions(tmp_path / name)
        whole = json.loads(files[0].read_text())
        write(files[0], whole | {"benchmarks": [*whole["benchmarks"], foreign()]})
    code, answer = answer_of("compare", str(tmp_path / "base"), str(tmp_path / "head"), "--json")
    assert code == 0
    notes = [(Path(finding["where"]).name, finding["text"]) for finding in answer["findings"]]
    assert notes == [("benchmarks-0.json", "1 benchmark of other projects left out")] * 2


def test_a_copy_of_a_file_is_no_second_session(tmp_path: Path) -> None:
    """A browser or a file manager names a second copy `benchmarks-0 (1).json`: the same times counted twice."""
    for name in ("base", "head"):
        files = sessions(tmp_path / name)
        shutil.copy(files[0], files[0].with_name("benchmarks-0 (1).json"))
    result = compare_folders(tmp_path / "base", tmp_path / "head")
    assert [(finding.where, finding.text) for finding in result.findings] == [
        (str(tmp_path / name / "benchmarks-0 (1).json"), "a copy of another file, left out")
        for name in ("base", "head")
    ]
    folder = tmp_path / "results" / "speed"
    folder.mkdir(parents=True)
    write(folder / "a.json", content(bench_file.frames()))
    shutil.copy(folder / "a.json", folder / "a (1).json")
    (folder / "._a.json").write_bytes(b"\0\5\x16\7")
    read, damaged = read_speed(tmp_path / "results")
    assert (len(read), damaged) == (1, [])


def test_a_file_that_is_named_twice_is_no_second_session(tmp_path: Path) -> None:
    """A file and its folder are both named: the times of the file counted twice."""
    for name in ("base", "head"):
        sessions(tmp_path / name)
    alone = compare_folders(tmp_path / "base", tmp_path / "head")
    (tmp_path / "link").symlink_to(tmp_path / "head")
    named = [tmp_path / "head" / "benchmarks-0.json", tmp_path / "head", tmp_path / "link"]
    assert compare_folders(tmp_path / "base", tmp_path / "head", head_times=named).checks == alone.checks
    path = write(tmp_path / "b.json", content(bench_file.frames()))
    assert len(read_named([path, path])[0]) == 1


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for copies ended with the advice to get the permission to write."""

    def denied(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    files = sessions(tmp_path, count=2)
    monkeypatch.setattr("fgbench.speed.bench_files.hash_file", denied)
    assert without_copies(files) == (files, [])


def test_the_storage_of_two_machines_is_refused_with_what_to_name(tmp_path: Path) -> None:
    """pytest-benchmark keeps the files of each kind of machine in a folder of its own, all in `.benchmarks`."""
    base = sessions(tmp_path / "base")
    for machine in ("Linux-CPython-3.11-64bit", "Darwin-CPython-3.12-64bit"):
        folder = tmp_path / ".benchmarks" / machine
        folder.mkdir(parents=True)
        write(folder / "0001_a.json", content(row(), cpu=machine))
    with pytest.raises(FgbenchError, match="another version or machine") as error:
        compare_folders(tmp_path / "base", tmp_path / "base", base, [tmp_path / ".benchmarks"])
    assert error.value.hint == "name only the files of one machine and one version"


def test_report_counts_what_it_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of speeds shows the rows of fgbench; the line on the terminal says how many others the file has."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "b.json", content(row(), foreign(), foreign()))
    code, text = run("report", "--benchmarks", "b.json")
    assert code == 0
    assert "b.json: 2 benchmarks of other projects left out" in text

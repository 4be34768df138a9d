"""`benchmarks/sessions.py --again`: only what looks slower is timed again."""

import configparser
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import bench_file
import pytest
from made_nights import bench
from test_history import night

from fgbench.judge.nightly.history import append_night
from fgbench.judge.nightly.timing import MIN_NIGHTS

ROOT = Path(__file__).parents[3]
COUNT = 8


def name(k):
    return f"benchmarks/test_x.py::test_{k}[fgbench]"


@pytest.fixture
def sessions(monkeypatch):
    """The program, with its commands instead of their runs."""
    spec = importlib.util.spec_from_file_location("sessions", ROOT / "benchmarks/sessions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    commands = []
    monkeypatch.setattr(
        module.subprocess, "run", lambda command, check: commands.append(command) or SimpleNamespace(returncode=0)
    )

    def start(*arguments):
        commands.clear()
        monkeypatch.setattr("sys.argv", ["sessions.py", *map(str, arguments)])
        return module.main(), list(commands)

    return start


@pytest.fixture
def results(tmp_path):
    """Nights without a change, and tonight with slower benchmarks."""

    def write(slower, nights=MIN_NIGHTS):
        conditions = {"version": "0123456789ab", "machine": "Fake Xeon, 2 cores, torch not named"}
        for _ in range(nights):
            append_night(tmp_path, night(benches=tuple(bench(name(k), **conditions) for k in range(COUNT))))
        (tmp_path / "tonight").mkdir()
        rows = [bench_file.hot(str(k), rounds_of_reference=[slower.get(k, 1.0)] * 3) for k in range(COUNT)]
        for k in range(3):
            bench_file.write(tmp_path / "tonight" / f"benchmarks-{k + 1}.json", bench_file.content(*rows))
        return tmp_path

    return write


def test_only_what_looks_slower_is_timed_again(sessions, results):
    folder = results({3: 1.5, 5: 2.0, 6: 0.5})
    code, commands = sessions(folder / "tonight", "--sessions", 2, "--again", folder)
    assert code == 0
    files = [argument for command in commands for argument in command if "--benchmark-json" in argument]
    assert [Path(file.partition("=")[2]).name for file in files] == [
        "benchmarks-again-1.json",
        "benchmarks-again-2.json",
    ]
    for command in commands:
        assert [argument for argument in command if "::" in argument] == [name(5), name(3)]


def test_five_benchmarks_at_most_are_timed_again(sessions, results, capsys):
    folder = results({k: 1.5 + 0.1 * k for k in range(COUNT)})
    _, commands = sessions(folder / "tonight", "--sessions", 1, "--again", folder)
    assert [argument for argument in commands[0] if "::" in argument] == [name(k) for k in (7, 6, 5, 4, 3)]
    assert name(0) in capsys.readouterr().out.partition("also slower:")[2]


def test_nothing_is_timed_again_without_a_slower_benchmark_or_without_nights(sessions, results, tmp_path):
    folder = results({3: 0.5})
    assert sessions(folder / "tonight", "--again", folder) == (0, [])
    (tmp_path / "history.jsonl").unlink()
    assert sessions(folder / "tonight", "--again", folder) == (0, [])


def test_a_history_that_cannot_be_read_is_a_sentence(sessions, results, capsys):
    folder = results({3: 1.5})
    (folder / "history.jsonl").write_text("{")
    assert sessions(folder / "tonight", "--again", folder) == (1, [])
    assert "nothing is timed again:" in capsys.readouterr().err


def test_sessions_of_all_benchmarks_are_numbered_apart_from_those_again(sessions, results):
    folder = results({})
    (folder / "tonight" / "benchmarks-again-1.json").write_text("{}")
    _, commands = sessions(folder / "tonight", "--sessions", 2)
    assert [command[-1].rpartition("/")[2] for command in commands] == ["benchmarks-4.json", "benchmarks-5.json"]


def test_a_night_times_suspects_again_before_it_is_judged():
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    lines = tox["testenv:nightly"]["commands"].split("\n")
    (again,) = [k for k, line in enumerate(lines) if "--again runs/nightly" in line]
    assert lines[again + 1].startswith("fgbench nightly --results runs/nightly")

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from kill_at_write import WarmProgram
from stored_records import record

from fgbench.cli import faults
from fgbench.records.store import Store
from fgbench.util.files import machine_error

LONG = "x" * 300
HELD = {
    "report": ("report", "--results", "{}"),
    "export": ("export", "values", "--results", "{}"),
    "verify": ("verify", "--results", "{}"),
    "compare base": ("compare", "{}", "results"),
    "compare head": ("compare", "results", "--results", "{}"),
    "nightly": ("nightly", "--results", "{}"),
}
"""Verbs that read a results folder."""
MADE = {
    "run": ("run", "bcnn/fv_sift", "--profile", "quick", "--results", "{}"),
    "reproduce": ("reproduce", "cub", "--profile", "quick", "--results", "{}"),
    "speed": ("speed", "bcnn/fv_sift", "--results", "{}"),
    "report --out": ("report", "--results", "results", "--out", "{}"),
}
"""Verbs that make a folder."""
WRITTEN = {
    "export --out": ("export", "cells", "--format", "csv", "--out", "{}"),
    "compare --markdown": ("compare", "results", "results", "--markdown", "{}"),
    "compare --junit": ("compare", "results", "results", "--junit", "{}"),
}
"""Verbs that write a file."""
READ = {
    "report --benchmarks": ("report", "--results", "results", "--benchmarks", "{}"),
    "compare --base-times": ("compare", "results", "results", "--base-times", "{}"),
}
"""Verbs that read a file."""
PLAIN = {
    name: (*name.split(),)
    for name in ("list", "list cells", "list cells --json", "doctor", "weights list", "export cells", "--help")
}
"""Verbs that only print."""


@pytest.fixture(scope="module")
def program():
    modules = ("torch", "fgbench.report.build", "fgbench.runs.execute", "fgbench.cli.run_requests")
    with WarmProgram(preload=modules) as warm:
        yield warm


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with one of every wrong thing, and with a folder of results."""
    folder = tmp_path_factory.mktemp("faults")
    Store(folder / "results/records").write(*record())
    (folder / "file").write_text("x")
    os.mkfifo(folder / "fifo")
    (folder / "dangling").symlink_to("nowhere/at/all")
    (folder / "linked.csv").symlink_to("/etc/hostname")
    return folder


def mistake(program, place, monkeypatch, arguments, **more):
    """Run a command in a folder; return its error message, which is one sentence and a hint."""
    monkeypatch.chdir(place)
    ended = program.run(arguments, limit_s=20, **more)
    assert ended.code == 2, ended.output
    text = ended.output.removeprefix("loading PyTorch and the recipes\n")  # the first line of `reproduce`
    assert text.startswith("fgbench: "), text
    assert text.count("\n") <= 2, text
    return text


def with_path(arguments, path):
    return [path if argument == "{}" else argument for argument in arguments]


@pytest.mark.parametrize(
    "path", ["nowhere", "file", "file/below", "fifo", "dangling", LONG, "/dev/full", "~no-such-user/x"]
)
@pytest.mark.parametrize("verb", HELD.values(), ids=HELD)
def test_a_results_folder_that_cannot_be_read_is_a_mistake(program, place, monkeypatch, verb, path):
    text = mistake(program, place, monkeypatch, with_path(verb, path))
    assert path[:40] in text or "home folder" in text


@pytest.mark.parametrize(
    "path", ["file", "file/below", "fifo", "dangling", LONG, "/dev/full", "~no-such-user/x", "/proc/x"]
)
@pytest.mark.parametrize("verb", MADE.values(), ids=MADE)
def test_a_folder_that_cannot_be_made_is_a_mistake(program, place, monkeypatch, verb, path):
    text = mistake(program, place, monkeypatch, with_path(verb, path))
    assert path[:40] in text or "home folder" in text


@pytest.mark.parametrize(
    "path",
    ["results", "file/below", "fifo", LONG, "/dev/full", "/dev/null", "~no-such-user/x", "/proc/x", "linked.csv"],
)
@pytest.mark.parametrize("verb", WRITTEN.values(), ids=WRITTEN)
def test_a_file_that_cannot_be_written_is_a_mistake(program, place, monkeypatch, verb, path):
    before = {path: path.lstat().st_mode for path in place.iterdir()}
    device = os.lstat("/dev/full").st_mode
    text = mistake(program, place, monkeypatch, with_path(verb, path))
    assert path[:40] in text or "home folder" in text
    assert {path: path.lstat().st_mode for path in place.iterdir()} == before
    assert os.lstat("/dev/full").st_mode == device


@pytest.mark.parametrize("path", ["nowhere", "results", "fifo", "/dev/zero", LONG, "~no-such-user/x", "file"])
@pytest.mark.parametrize("verb", READ.values(), ids=READ)
def test_a_file_that_cannot_be_read_is_a_mistake(program, place, monkeypatch, verb, path):
    text = mistake(program, place, monkeypatch, with_path(verb, path))
    assert path[:40] in text or "home folder" in text


@pytest.mark.parametrize("verb", PLAIN.values(), ids=PLAIN)
def test_a_full_output_is_a_mistake(program, place, monkeypatch, verb):
    text = mistake(program, place, monkeypatch, verb, stdout="/dev/full")
    assert "No space left on device" in text


@pytest.mark.parametrize("name", ["FGBENCH_CACHE", "FGBENCH_DATA", "FGBENCH_WEIGHTS", "FGBENCH_REPRODUCTIONS"])
def test_the_home_folder_of_nobody_is_a_mistake(program, place, monkeypatch, name):
    text = mistake(program, place, monkeypatch, ["list"], env={name: "~nobody-of-that-name/x"})
    assert "the home folder of ~nobody-of-that-name is not known" in text


def test_folders_of_the_environment_begin_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("FGBENCH_DATA", os.pathsep.join(["~/birds", "/data", ""]))
    faults.expand_folders()
    assert os.environ["FGBENCH_DATA"] == os.pathsep.join(["/home/ada/birds", "/data", ""])


@pytest.mark.parametrize("verb", [("list", "cells"), ("export", "cells"), ("list", "cells", "--json")])
def test_a_reader_that_ends_early_is_no_error(tmp_path, verb):
    command = [sys.executable, "-m", "fgbench", *verb]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == faults.READER_ENDED


@pytest.mark.parametrize("verb", [("list", "cells"), ("export", "cells"), ("list", "cells", "--json")])
def test_a_terminal_without_unicode_prints_everything(tmp_path, verb):
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "fgbench", *verb]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path, env=env)
    assert done.stderr == b""
    assert done.stdout.isascii()
    if "--json" in verb:
        in_unicode = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
        assert json.loads(done.stdout) == json.loads(in_unicode.stdout)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "the memory is not enough"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "the disk of a is full"),
        (OSError(errno.EIO, "Input/output error"), "the system reports: Input/output error"),
        (PermissionError(errno.EACCES, "Permission denied", b"a"), "cannot use a: Permission denied"),
        (OSError("a library says no"), "the system reports: a library says no"),
    ],
)
def test_a_fault_of_the_machine_is_a_sentence(error, message):
    assert machine_error(error).args[0].startswith(message)


def test_an_array_that_does_not_fit_names_its_size():
    with pytest.raises(MemoryError) as caught:
        np.empty((1 << 20, 1 << 24))
    assert "TiB" in str(machine_error(caught.value))


@pytest.mark.parametrize("error", [RecursionError(), KeyError("x"), ValueError("y")])
def test_a_bug_keeps_its_traceback(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(sys.modules["fgbench.cli.app"], "app", fail)
    with pytest.raises(type(error)):
        sys.modules["fgbench.cli.app"].main()

import re

from command_line import run

from fgbench.cli import run_requests
from fgbench.runs.executors.pool import Failure
from fgbench.runs.executors.runner import Result


def failing(monkeypatch, *failures):
    monkeypatch.setattr(run_requests.runner, "run_plan", lambda *_, **__: Result(0, 0, failures))


def test_a_failed_run_leaves_its_traceback_in_a_file_that_the_message_names(monkeypatch, tmp_path):
    name = "B-CNN [D,M], quick, seed 0 ../../x"
    failing(monkeypatch, Failure(name, "KeyError: 'x'", "Traceback (most recent call last):\n  ...\n"))
    code, text = run("run", "bcnn/fv_sift", "--profile", "quick", "--results", str(tmp_path / "r"))
    assert code == 1
    assert f"failed: {name}: KeyError: 'x'\n" in text
    assert "Traceback" not in text
    (path,) = (tmp_path / "r/failures").iterdir()
    assert f"the traceback is in {path}" in text
    assert path.read_text().startswith(f"{name}: KeyError: 'x'\n\nTraceback")
    assert re.fullmatch(r"B-CNN-D-M-quick-seed-0-x-[0-9a-f]{6}\.txt", path.name)


def test_a_traceback_that_cannot_be_written_is_printed(monkeypatch, tmp_path):
    (tmp_path / "failures").write_text("a file")
    failing(monkeypatch, Failure("a", "b", "Traceback of a"))
    code, text = run("run", "bcnn/fv_sift", "--profile", "quick", "--results", str(tmp_path))
    assert code == 1
    assert "Traceback of a" in text


def test_a_mistake_leaves_no_file(monkeypatch, tmp_path):
    failing(monkeypatch, Failure("a", "no such data"))
    code, text = run("run", "bcnn/fv_sift", "--profile", "quick", "--results", str(tmp_path))
    assert code == 1
    assert "failed: a: no such data" in text
    assert "0 runs done, 0 kept from before, 1 failed, 0 recipes blocked" in text
    assert "1 recipe for cub, seed 0, on cpu" in text
    assert not (tmp_path / "failures").exists()

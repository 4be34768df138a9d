"""The program that measures within a time limit, from its smoke test to the report, on the simulated GPU."""

import importlib.util
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import bench_file
import pytest

from fgbench.datasets.synthetic.birds import SyntheticBirds, generate
from fgbench.papers.recipes import load_recipes
from fgbench.records.store import store_of
from fgbench.util.code_hash import hash_code

ROOT = Path(__file__).parents[2]
HELPERS = ROOT / "tests/helpers"
RECIPES = ("bcnn/cbp_ts_dd", "bcnn/bcnn_dd")
SMALL = ("--size", "64", "--backbone", "tiny_m:conv", "--epochs", "1")


def load_program():
    spec = importlib.util.spec_from_file_location("measure_gpu", ROOT / "benchmarks/measure_gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def program(monkeypatch, tmp_path):
    """The program, on a folder of a few birds in the layout of CUB-200-2011, with two recipes."""
    module = load_program()
    birds = SyntheticBirds(classes=3, train_per_class=6, test_per_class=4, size=64)
    generate(tmp_path / "data/CUB_200_2011", birds, workers=1)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(module, "environment", partial(site_environment, "mini_site"))
    for name, recipes in (("SMOKE", RECIPES[:1]), ("RECIPES", RECIPES), ("SUBJECTS", ())):
        monkeypatch.setattr(module, name, recipes)
    return module


def site_environment(site):
    """Return the environment of a program whose processes import a file of the helpers first."""
    folders = [str(HELPERS / site), str(HELPERS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def devices(folder):
    return {record.recipe: record.provenance["device"] for record in store_of(folder).records()}


def test_smoke_test_recipes_and_report_run_on_the_simulated_gpu(program, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(program, "environment", partial(site_environment, "simulated_gpu_site"))
    assert program.main(["--within", "10m", "--results", str(tmp_path / "r"), "--", *SMALL, "--classes", "2"]) == 0
    assert devices(tmp_path / "r/smoke") == {"bcnn/cbp_ts_dd@cub": "simulated GPU"}
    assert devices(tmp_path / "r") == {f"{recipe}@cub": "simulated GPU" for recipe in RECIPES}
    assert all(record.cost.expected for record in store_of(tmp_path / "r").records())
    assert (tmp_path / "r/report/index.html").is_file()
    # The same command keeps what is finished.
    capfd.readouterr()
    assert program.main(["--within", "10m", "--results", str(tmp_path / "r"), "--", *SMALL, "--classes", "2"]) == 0
    assert capfd.readouterr().out.count("0 runs done") == 2


def test_two_processes_of_a_cpu_run_the_recipes(program, tmp_path):
    assert (
        program.main(
            ["--within", "10m", "--results", str(tmp_path / "r"), "--", *SMALL, "--classes", "2", "--jobs", "2"]
        )
        == 0
    )
    assert set(devices(tmp_path / "r")) == {f"{recipe}@cub" for recipe in RECIPES}


def test_a_part_that_fails_gives_the_exit_code(program, tmp_path, capfd):
    assert program.main(["--within", "2m", "--results", str(tmp_path / "r"), "--", "--size", "0"]) == 1
    assert "smoke test: failed with exit code 2 after" in capfd.readouterr().out


def test_a_part_that_does_not_end_is_ended_with_its_processes(program, tmp_path, monkeypatch, capfd):
    parts, note, wait = program.Parts(100), tmp_path / "pid", subprocess.Popen.wait

    def wait_for_child(process, timeout=None):
        if timeout is None:
            return wait(process)
        while not note.is_file():
            time.sleep(0.05)
        raise subprocess.TimeoutExpired("endless", timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait_for_child)
    child = f"mv = '{note}.new'; open(mv, 'w').write(str(os.getpid())); os.rename(mv, '{note}'); time.sleep(600)"
    parts.run("endless", ["-c", f"import os, time\nif os.fork() == 0: {child}\ntime.sleep(600)"], 3)
    assert parts.failed == []
    for _ in range(1000):  # the system ends a process a moment after the signal
        if not is_running(int(note.read_text())):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child process is still running")
    assert "endless: ended at its time limit after" in capfd.readouterr().out


def test_speeds_of_other_code_are_measured_again(program, tmp_path, monkeypatch, capfd):
    """The part is noted instead of run."""
    monkeypatch.setattr(program, "SUBJECTS", ("B-CNN [D,D]", "TASN, VGG-19", "new"))
    ran = []
    monkeypatch.setattr(program.Parts, "run", lambda self, name, command, limit_s: ran.append(name))
    speed = tmp_path / "r/speed"
    speed.mkdir(parents=True)
    bench_file.write(speed / "0.json", bench_file.content(bench_file.frames(code=hash_code())))
    bench_file.write(speed / "1.json", bench_file.content(bench_file.frames(code="other")))

    def measured(within):
        ran.clear()
        program.main(["--within", within, "--results", str(tmp_path / "r")])
        return [name.removeprefix("frames per second of ") for name in ran if "frames" in name]

    assert measured("10m") == ["TASN, VGG-19", "new"]
    bench_file.write(speed / "0.json", bench_file.content(bench_file.frames()))  # as earlier versions wrote it
    (speed / "1.json").write_text("{")
    assert measured("10m") == ["B-CNN [D,D]", "TASN, VGG-19", "new"]
    capfd.readouterr()
    assert measured("30s") == []
    said = capfd.readouterr().out
    assert "frames per second of B-CNN [D,D]: not measured, because the time is over; the report has the speed" in said
    assert "frames per second of new: not measured, because the time is over\n" in said


def test_all_recipes_and_measured_methods_exist():
    module = load_program()
    assert {f"{recipe}@cub" for recipe in (*module.SMOKE, *module.RECIPES)} <= set(load_recipes())
    tests = [module.frames_test(subject, gpu=gpu) for subject in module.SUBJECTS for gpu in (True, False)]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *tests]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0

"""`fgbench speed`: what it measures by default, writes and prints."""

import json
import os
import subprocess
import sys

import pytest
from bench_file import frames
from command_line import CALL, run

import fgbench
from fgbench import cli
from fgbench.cli import speed_output
from fgbench.speed.bench_files import frames_of, read_speed
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.method_speed import ENERGY_RUN, MethodSpeed
from fgbench.speed.roofline import Need, Rates
from fgbench.util.errors import FgbenchError

GFLOP_PER_S = {"bcnn/bcnn_dm@cub": 100.0, "bcnn/bcnn_v1@cub": 400.0}


def fake_speed(subject, kind):
    """Return a speed of 2 frames a second, or of 3 at the best batch."""
    best = {"batch": 4, "best_batch": True, "tried": [(1, 2.0), (2, 2.5), (4, 3.0), (8, None)], "stopped": "no memory"}
    fields = {"recipe": subject.recipe.key, "device_type": kind.device, "bound_fps": None, "share_of_bound": None}
    if kind.best:
        fields |= best | {"energy_note": "there is no counter"}
    fps = {"frames_per_s": 3.0 if kind.best else 2.0, "frames_per_s_low": 1.9, "frames_per_s_high": 3.1}
    row = FramesRow.model_validate(frames(subject.title, **fields, **fps)["extra_info"])
    rates = Rates(1e9 * GFLOP_PER_S.get(subject.recipe.key, 50.0), 1e12)
    return MethodSpeed(kind, row, Need(20.0, 1, 1), rates, (0.5, 0.6), 0.02)


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """The names of measured recipes; the measurement itself is replaced."""
    names = []

    def measure(subject, kinds):
        names.append(subject.recipe.name)
        return {kind: fake_speed(subject, kind) for kind in kinds}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed_output, "measure_alone", measure)
    return names


def test_recipes_with_printed_speeds_are_measured_by_default_and_the_report_reads_their_files(measured, tmp_path):
    code, text = run("speed", "--device", "cpu")
    assert code == 0
    of_table = [f"bcnn/{name}" for name in ("fc_cnn_d", "fc_cnn_m", "fv_cnn_d", "fv_cnn_m", "fv_sift")]
    of_table += [f"bcnn/bcnn_{name}" for name in ("dd", "dm", "mm", "v1")]
    assert sorted(measured) == sorted(of_table)
    files = sorted(path.name for path in (tmp_path / "runs/speed").iterdir())
    assert files == sorted(f"{name.replace('/', '-')}-cub-cpu.json" for name in of_table)
    sessions, damaged = read_speed(tmp_path / "runs")
    assert not damaged
    rows = frames_of(sessions)
    # The bound of all recipes uses the best rates that were measured, also in the file of the first one.
    assert [(row.batch, row.bound_fps) for row in rows] == [(1, 20.0), (4, 20.0)] * 9
    assert "bcnn/bcnn_dm@cub 2 1.9 to 3.1 4 3 15%" in " ".join(text.split())
    assert "B-CNN [D,M]: frames/s by batch: 1: 2, 2: 2.5, 4: 3, 8: does not fit in memory; no memory\n" in text
    assert text.count("energy is not measured: there is no counter\n") == 1
    assert "written: runs/speed/bcnn-bcnn_dm-cub-cpu.json\n" in text
    assert "next: fgbench report\n" in text
    assert "cores: " in text


def test_a_measured_speed_has_a_verdict(measured, tmp_path):
    run("speed", "bcnn/bcnn_dm", "--device", "cpu", "--results", "other")
    (tmp_path / "other/records").mkdir()
    verdicts = fgbench.verdicts("other")
    speeds = verdicts[(verdicts.metric == "fps") & (verdicts.recipe == "bcnn/bcnn_dm")]
    assert set(speeds.measured) == {3.0}
    assert set(speeds.speed_file) == {"bcnn-bcnn_dm-cub-cpu.json"}


def test_json_has_the_numbers_of_the_table(measured):
    result = CALL.invoke(cli.app, ["speed", "bcnn/bcnn_dm", "bcnn/fv_*_m", "bcnn/fv_sift", "--device", "cpu", "--json"])
    facts = json.loads(result.stdout)
    assert [row["recipe"] for row in facts["speeds"]] == [f"{name}@cub" for name in measured]
    assert sorted(measured) == ["bcnn/bcnn_dm", "bcnn/fv_cnn_m", "bcnn/fv_sift"]
    first = facts["speeds"][0]
    assert (first["fps"], first["best_fps"], first["best_batch"], first["share_of_bound"]) == (2.0, 3.0, 4, 0.6)
    assert first["tried"][-1] == {"batch": 8, "fps": None}
    assert facts["processor"]["cores"] == os.cpu_count()
    assert len(facts["files"]) == 3


def test_the_same_command_replaces_its_file(measured, tmp_path):
    for _ in range(2):
        run("speed", "bcnn/bcnn_dm", "--device", "cpu")
    assert len(list((tmp_path / "runs/speed").iterdir())) == 1


def test_what_is_measured_is_kept_if_a_later_recipe_fails(monkeypatch, measured, tmp_path):
    first = speed_output.measure_alone

    def measure(subject, kinds):
        if measured:
            raise FgbenchError("the process was ended by signal 9", "try again")
        return first(subject, kinds)

    monkeypatch.setattr(speed_output, "measure_alone", measure)
    assert CALL.invoke(cli.app, ["speed", "--device", "cpu"]).exit_code == 1
    (file,) = (tmp_path / "runs/speed").iterdir()
    assert file.name == f"{measured[0].replace('/', '-')}-cub-cpu.json"


def test_a_folder_of_own_images_is_refused(measured, tmp_path):
    code, text = run("speed", "--data", f"imagefolder:{tmp_path}", "--results", str(tmp_path / "runs"))
    assert code != 0
    assert "this measurement uses random images, not those of a folder" in text
    assert measured == []


@pytest.mark.parametrize("seconds", ["ten", "0", "-1", "nan", "inf", "1e9"])
def test_a_wrong_length_of_energy_runs_is_refused_before_work(measured, tmp_path, monkeypatch, seconds):
    monkeypatch.setenv(ENERGY_RUN, seconds)
    code, text = run("speed", "bcnn/fv_sift", "--results", str(tmp_path / "runs"))
    assert code != 0
    assert f"FGBENCH_ENERGY_RUN_S is '{seconds}'" in text
    assert measured == []


def test_pytest_need_not_be_installed(tmp_path):
    """The verb runs, in all of its processes, where importing pytest or pytest-benchmark is an error."""
    for name in ("pytest", "pytest_benchmark", "_pytest", "cpuinfo"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not installed')\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "fgbench", "speed", "bcnn/fv_sift", "--device", "cpu", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (speed,) = json.loads(done.stdout)["speeds"]
    assert speed["best_fps"] >= speed["fps"] > 0
    assert speed["share_of_bound"] > 0
    (session,), _ = read_speed(tmp_path / "runs")
    assert [timed.row.best_batch for timed in session.rows] == [False, True]

"""`--within`: the order of runs, the deadline, and what is refused."""

import os
import time
from dataclasses import replace

import pytest
from command_line import run

from fgbench.cli import estimates, run_requests, time_limit
from fgbench.cli.time_limit import TimeLimit
from fgbench.records.expectations import read_expected
from fgbench.records.phase_log import PhaseLog
from fgbench.runs.executors.runner import WORK, Result
from fgbench.speed.machine_rates import ASSUMED_HOST, gpu_rates
from fgbench.util.gpu_board import Meter

RECIPES = ("bcnn/fv_sift", "bcnn/bcnn_mm", "bcnn/fc_cnn_m")


def rates_of_this_process(*_):
    return replace(gpu_rates("h100"), name=str(os.getpid()))


@pytest.fixture
def plans(monkeypatch):
    """Plans that were to be executed, with their deadlines."""
    seen = []

    def run_plan(plan, folder, watcher, *, jobs, deadline):
        seen.append((plan, deadline))
        return Result(0, 0, (), len(plan.runs))

    monkeypatch.setattr(run_requests.runner, "run_plan", run_plan)
    rates = replace(gpu_rates("h100"), is_gpu=False, name="this CPU")
    monkeypatch.setattr(estimates, "measure_device", lambda *_: rates)
    monkeypatch.setattr(estimates, "measure_host", lambda *_: ASSUMED_HOST)
    return seen


def test_runs_that_decide_most_cells_a_minute_come_first_and_carry_their_estimates(plans, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "fgbench.speed.verdict_order.decided_cells", lambda run, papers: int("fc_cnn" in run.recipe.name)
    )
    started = time.monotonic()
    code, text = run("run", *RECIPES, "--profile", "quick", "--within", "10m", "--results", str(tmp_path))
    ((plan, deadline),) = plans
    assert code == 0
    assert plan.runs[0].recipe.name == "bcnn/fc_cnn_m"
    assert {run.recipe.name for run in plan.runs} == set(RECIPES)
    assert all(run.expected == read_expected(tmp_path, run.id) for run in plan.runs)
    assert started + 569 < deadline < time.monotonic() + 571  # half a minute remains for the report
    assert "3 runs of 3 fit into" in text
    assert "3 runs unfinished at the time limit: the same command goes on with them" in text


def test_runs_that_do_not_fit_come_last_and_their_estimates_are_used_again(plans, tmp_path, monkeypatch):
    arguments = ("run", *RECIPES, "--profile", "quick", "--results", str(tmp_path), "--within")
    assert run(*arguments, "10m")[0] == 0
    monkeypatch.setattr(estimates, "measure_device", lambda *_: pytest.fail("measured again"))
    code, text = run(*arguments, "0.001s")
    assert code == 0
    assert "0 runs of 3 fit into 0 s by their estimates" in text
    assert len(plans[1][0].runs) == 3


def test_an_unfinished_run_is_expected_to_take_what_is_left(plans, tmp_path):
    arguments = ("run", "bcnn/bcnn_mm", "--profile", "quick", "--within", "10m", "--results", str(tmp_path))
    assert run(*arguments)[0] == 0
    (unfinished,) = plans[0][0].runs
    expected = unfinished.expected.phase_s
    folder = tmp_path / WORK / unfinished.id
    folder.mkdir(parents=True)
    log = PhaseLog(folder, 0, Meter([]))
    log.phase_s = {"pixels": expected["pixels"] + 100, "training": expected["training"] / 4}
    log.save()
    left = unfinished.expected.wall_s - expected["pixels"] - expected["training"] / 4
    assert time_limit._left_s(unfinished, tmp_path) == pytest.approx(left)


def test_a_gpu_is_measured_in_another_process(monkeypatch):
    monkeypatch.setattr(estimates, "measure_device", rates_of_this_process)
    assert estimates._measured("cuda", 1, False).name != estimates._measured("cpu", 1, False).name == str(os.getpid())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--within", "soon"), "'soon' is no duration"),
        (("--within", "9m", "--executor", "ray"), "--within is for runs on this machine"),
    ],
)
def test_what_is_no_limit_and_what_cannot_be_stopped_is_refused(options, message):
    code, text = run("run", "bcnn/fv_sift", "--profile", "quick", *options)
    assert code != 0
    assert message in text


def test_processes_of_torchrun_cannot_be_stopped(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, text = run("run", "bcnn/fv_sift", "--profile", "quick", "--within", "9m")
    assert code != 0
    assert "that torchrun does not start" in text


@pytest.mark.parametrize(("limit_s", "runs_s"), [(4, 2), (40, 35), (100, 90), (3600, 3570)])
def test_a_part_of_the_limit_is_kept_for_the_report(limit_s, runs_s):
    assert TimeLimit(limit_s, 1000.0).deadline == 1000 + runs_s


def test_reproduce_trains_in_a_precision_and_leaves_recipes_alone_that_train_nothing(plans, tmp_path):
    code, _ = run(
        "reproduce", "cub", "--profile", "quick", "--precision", "bf16-mixed", "--within", "10m", "--results",
        str(tmp_path),
    )  # fmt: skip
    (((plan, _)),) = plans
    assert code == 0
    precisions = {run.recipe.name: run.settings.precision for run in plan.runs}
    assert precisions["bcnn/fv_sift"] == "32-true"
    assert precisions["bcnn/bcnn_mm"] == "bf16-mixed"

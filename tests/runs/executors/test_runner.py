"""The order in which a plan is executed, and the small networks that its runs wait for."""

import time
from unittest.mock import Mock

import mini
import pytest

from fgbench.runs.executors import runner
from fgbench.runs.executors.pool import Failure
from fgbench.runs.planning import Plan


@pytest.fixture
def runs():
    """Two short runs around a long one; one of them needs no network."""
    return tuple(map(mini.run_of, ("fv_sift", "fc_cnn_d", "bcnn_dm")))


def tasks_of(monkeypatch, runs, folder, failures=(), **more):
    taken = []
    monkeypatch.setattr(runner, "run_tasks", lambda tasks, *_, **__: taken.extend(tasks) or list(failures))
    monkeypatch.setattr(runner, "pretraining_birds", lambda: None)
    return taken, runner.run_plan(Plan(runs, {}), folder, Mock(), **more)


def test_a_run_waits_for_its_networks_only(monkeypatch, runs, tmp_path):
    tasks, result = tasks_of(monkeypatch, runs, tmp_path)
    after = {task.name: set(task.after) for task in tasks}
    sift, one, two = runs
    assert after[sift.title] == set()
    assert after[one.title] == {"tiny_d"}
    assert after[two.title] == {"tiny_d", "tiny_m"}
    assert {task.key for task in tasks if not task.after} == {"tiny_d", "tiny_m", sift.id}
    assert result == runner.Result(3, 0, ())


@pytest.mark.parametrize(
    ("more", "sorts"), [({"jobs": 2}, True), ({"jobs": 1}, False), ({"jobs": 2, "deadline": 1e99}, False)]
)
def test_long_trainings_start_first_if_several_run_at_a_time(more, sorts, monkeypatch, runs, tmp_path):
    epochs = [runner._trained_epochs(run) for run in runs]
    assert epochs[0] == 0 < min(epochs[1:])
    tasks, _ = tasks_of(monkeypatch, runs, tmp_path, **more)
    names = [task.name for task in tasks[2:]]
    expected = sorted(runs, key=runner._trained_epochs, reverse=True) if sorts else runs
    assert names == [run.title for run in expected]
    assert (names[-1] == runs[0].title) == sorts


def test_a_network_that_fails_is_no_run(monkeypatch, runs, tmp_path):
    failures = [Failure("network tiny_m", "full"), Failure(runs[2].title, "not run, because network tiny_m failed")]
    _, result = tasks_of(monkeypatch, runs, tmp_path, failures)
    assert result == runner.Result(2, 0, tuple(failures))
    _, result = tasks_of(monkeypatch, runs, tmp_path, failures, deadline=time.monotonic() - 1)
    assert (result.done, result.unfinished) == (0, 2)
    assert result.done + result.unfinished + 1 == len(runs)


def test_two_runs_with_one_title_are_two_failures(monkeypatch, runs, tmp_path):
    failures = [Failure(runs[1].title, "full"), Failure(runs[1].title, "full")]
    _, result = tasks_of(monkeypatch, runs, tmp_path, failures)
    assert result == runner.Result(1, 0, tuple(failures))

"""The order in which a plan is executed, and the runs that its runs wait for."""

import time
from unittest.mock import Mock

import mini
import pytest

from fgbench.runs.executors import runner
from fgbench.runs.executors.pool import Failure
from fgbench.runs.planning import Plan


@pytest.fixture
def runs():
    """Two short runs around a long one; one of them trains nothing."""
    return tuple(map(mini.run_of, ("fv_sift", "fc_cnn_d", "bcnn_dm")))


def tasks_of(monkeypatch, runs, folder, failures=(), **more):
    taken = []
    monkeypatch.setattr(runner, "run_tasks", lambda tasks, *_, **__: taken.extend(tasks) or list(failures))
    return taken, runner.run_plan(Plan(runs, {}), folder, Mock(), **more)


def test_a_run_waits_for_the_run_from_whose_network_it_starts(monkeypatch, runs, tmp_path):
    child = mini.run_of("fv_cnn_d", starts=True)
    tasks, result = tasks_of(monkeypatch, (runs[0], child), tmp_path)
    after = {task.key: task.after for task in tasks}
    assert after == {runs[0].id: (), child.parent.id: (), child.id: (child.parent.id,)}
    assert result == runner.Result(3, 0, ())


@pytest.mark.parametrize(
    ("more", "sorts"), [({"jobs": 2}, True), ({"jobs": 1}, False), ({"jobs": 2, "deadline": 1e99}, False)]
)
def test_long_trainings_start_first_if_several_run_at_a_time(more, sorts, monkeypatch, runs, tmp_path):
    epochs = [runner._trained_epochs(run) for run in runs]
    assert epochs[0] == 0 < min(epochs[1:])
    tasks, _ = tasks_of(monkeypatch, runs, tmp_path, **more)
    names = [task.name for task in tasks]
    expected = sorted(runs, key=runner._trained_epochs, reverse=True) if sorts else runs
    assert names == [run.title for run in expected]
    assert (names[-1] == runs[0].title) == sorts


def test_runs_are_done_failed_or_unfinished(monkeypatch, runs, tmp_path):
    failures = [Failure(runs[2].title, "full")]
    _, result = tasks_of(monkeypatch, runs, tmp_path, failures)
    assert result == runner.Result(2, 0, tuple(failures))
    _, result = tasks_of(monkeypatch, runs, tmp_path, failures, deadline=time.monotonic() - 1)
    assert (result.done, result.unfinished) == (0, 2)


def test_two_runs_with_one_title_are_two_failures(monkeypatch, runs, tmp_path):
    failures = [Failure(runs[1].title, "full"), Failure(runs[1].title, "full")]
    _, result = tasks_of(monkeypatch, runs, tmp_path, failures)
    assert result == runner.Result(1, 0, tuple(failures))

"""Execution of a run for another machine."""

from dataclasses import replace
from functools import partial

import mini
import numpy as np
import pytest
import torch
from stored_records import record

from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.runs.executors import pool, remote
from fgbench.runs.executors.pool import Failure
from fgbench.runs.planning import plan
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder


def silent(what, share):
    pass


def execution_of(run):
    """Return the function that `serve` executes for a run in a separate process."""
    request = remote.request_for(run)
    return partial(remote.execute_request, request["run_id"], request["pickled"])


def test_a_requested_run_has_the_record_of_a_local_run(tmp_path):
    run = mini.run_of("fc_cnn_d")
    execution_of(run)(tmp_path / "requested", silent)
    local = mini.do(run, tmp_path / "local")
    requested_store, local_store = (Store(tmp_path / name / "records") for name in ("requested", "local"))
    record = requested_store.read(run.id)
    assert record.values == local.values
    assert np.array_equal(requested_store.outputs(record)["scores"], local_store.outputs(local)["scores"])


@pytest.mark.parametrize("name", ["torch", "numpy", "pandas", remote.PYTHON, remote.CODE])
def test_a_request_for_other_versions_is_refused(name):
    request = remote.request_for(mini.run_of("fv_sift"))
    here = request["needed"][name]
    request["needed"] = {**request["needed"], name: "0.1"}
    request["pickled"] = b"must not be read"
    assert remote.serve(**request, report=silent) == ("refused", f"{name} is {here}, not 0.1")


def test_installed_returns_versions_of_this_machine():
    versions = remote.installed(["torch", "no-such-package", remote.PYTHON])
    assert versions["torch"] == torch.__version__.partition("+")[0]
    assert versions["no-such-package"] == "missing"
    assert versions[remote.PYTHON].startswith("3.")


def test_a_request_for_other_data_or_weights_is_refused(tmp_path):
    run = mini.run_of("bcnn_dm")
    for part in ("images", "annotations"):
        moved = replace(run, protocol=replace(run.protocol, **{part: "0" * 16}))
        with pytest.raises(remote.RefusedError, match=f"mini_birds has other {part}: their hash is .*, not 0000"):
            execution_of(moved)(tmp_path, silent)
    first, *others = run.streams
    with pytest.raises(remote.RefusedError, match=f"{first.stream} has other weights: .*, not ffff"):
        execution_of(replace(run, streams=(replace(first, sha256="f" * 64), *others)))(tmp_path, silent)
    with pytest.raises(remote.RefusedError, match="another run"):
        execution_of(replace(run, settings=run.settings.model_copy(update={"mirror": not run.settings.mirror})))(
            tmp_path, silent
        )
    assert list(tmp_path.iterdir()) == []


def test_a_request_for_missing_data_is_refused(birds_folder, monkeypatch, tmp_path):
    (tmp_path / "CUB_200_2011").symlink_to(birds_folder)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    (run,) = plan([load_recipes()["bcnn/fv_sift@cub"]], "frozen", [0]).runs
    monkeypatch.delenv("FGBENCH_DATA")
    with pytest.raises(remote.RefusedError) as refusal:
        execution_of(run)(tmp_path, silent)
    assert refusal.value.hint == "fgbench data get cub"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_run_is_refused_without_a_gpu(tmp_path):
    (run,) = plan([mini.recipe("fv_sift")], "quick", [0], device="cuda").runs
    with pytest.raises(remote.RefusedError, match="no GPU"):
        execution_of(run)(tmp_path, silent)


def test_an_error_of_the_run_is_not_a_refusal(monkeypatch, tmp_path):
    def fail(run, folder, report):
        raise FgbenchError("a step failed")

    monkeypatch.setattr("fgbench.runs.executors.runner.do_run", fail)
    with pytest.raises(FgbenchError) as failure:
        execution_of(mini.run_of("fv_sift"))(tmp_path, silent)
    assert not isinstance(failure.value, remote.RefusedError)


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (Failure("x", "no data", error="RefusedError"), ("refused", "no data")),
        (Failure("x", "its process ended with signal 9"), ("died", "its process ended with signal 9")),
        (Failure("x", "wrong", error="FgbenchError"), ("failed", Failure("x", "wrong", error="FgbenchError"))),
    ],
)
def test_failure_of_the_process_becomes_the_answer(failure, answer, monkeypatch):
    monkeypatch.setattr(pool, "run_tasks", lambda tasks, watcher: [failure])
    assert remote.serve(**remote.request_for(mini.run_of("fv_sift")), report=silent) == answer


def test_files_of_a_finished_run_are_removed_after_the_answer(monkeypatch):
    run, steps = mini.run_of("fv_sift"), []
    store = Store(cache_folder() / "cluster/records")

    def run_tasks(tasks, watcher):
        (task,) = tasks
        assert (task.name, task.threads) == (run.title, run.threads)
        watcher.progress(task.name, "test", 0.9)
        store.write(*record(run.id))
        return []

    monkeypatch.setattr(pool, "run_tasks", run_tasks)
    monkeypatch.setenv("FGBENCH_COMMAND", "fgbench run it")
    kind, files = remote.serve(**remote.request_for(run), report=lambda *step: steps.append(step))
    assert (kind, steps) == ("done", [("test", 0.9)])
    assert sorted(files) == [f"{run.id}.json", f"{run.id}.npz"]
    assert list(store.folder.iterdir()) == []

"""A run that another machine asks for."""

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


def doing(run):
    """`do` as `serve` has it done."""
    ordered = remote.order(run)
    return partial(remote.do, ordered["run_id"], ordered["pickled"])


def test_a_run_has_the_record_of_one_that_nobody_asked_for(tmp_path):
    run = mini.run_of("fc_cnn_d")
    doing(run)(tmp_path / "theirs", silent)
    own = mini.do(run, tmp_path / "ours")
    theirs, ours = (Store(tmp_path / name / "records") for name in ("theirs", "ours"))
    record = theirs.read(run.id)
    assert record.values == own.values
    assert np.array_equal(theirs.outputs(record)["scores"], ours.outputs(own)["scores"])


@pytest.mark.parametrize("name", ["torch", "numpy", "pandas", remote.PYTHON, remote.CODE])
def test_a_machine_with_other_versions_refuses(name):
    ordered = remote.order(mini.run_of("fv_sift"))
    here = ordered["needed"][name]
    ordered["needed"] = {**ordered["needed"], name: "0.1"}
    ordered["pickled"] = b"not to be read"
    assert remote.serve(**ordered, report=silent) == ("refused", f"{name} is {here}, not 0.1")


def test_versions_are_those_of_this_machine():
    found = remote.installed(["torch", "no-such-package", remote.PYTHON])
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert found["no-such-package"] == "missing"
    assert found[remote.PYTHON].startswith("3.")


def test_other_data_or_weights_are_refused(tmp_path):
    run = mini.run_of("bcnn_dm")
    for part in ("images", "annotations"):
        moved = replace(run, protocol=replace(run.protocol, **{part: "0" * 16}))
        with pytest.raises(remote.RefusedError, match=f"mini_birds has other {part}: their hash is .*, not 0000"):
            doing(moved)(tmp_path, silent)
    first, *others = run.streams
    with pytest.raises(remote.RefusedError, match=f"{first.stream} has other weights: .*, not ffff"):
        doing(replace(run, streams=(replace(first, sha256="f" * 64), *others)))(tmp_path, silent)
    with pytest.raises(remote.RefusedError, match="another run"):
        doing(replace(run, settings=run.settings.model_copy(update={"mirror": not run.settings.mirror})))(
            tmp_path, silent
        )
    assert list(tmp_path.iterdir()) == []


def test_data_that_are_missing_or_unknown_are_refused(birds_folder, monkeypatch, tmp_path):
    (tmp_path / "CUB_200_2011").symlink_to(birds_folder)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    (run,) = plan([load_recipes()["bcnn/fv_sift@cub"]], "frozen", [0]).runs
    monkeypatch.delenv("FGBENCH_DATA")
    with pytest.raises(remote.RefusedError) as refusal:
        doing(run)(tmp_path, silent)
    assert refusal.value.hint == "fgbench data get cub"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_machine_without_a_gpu_refuses_what_is_for_one(tmp_path):
    (run,) = plan([mini.recipe("fv_sift")], "quick", [0], device="cuda").runs
    with pytest.raises(remote.RefusedError, match="no GPU"):
        doing(run)(tmp_path, silent)


def test_a_mistake_in_the_run_itself_is_no_refusal(monkeypatch, tmp_path):
    def fail(run, folder, report):
        raise FgbenchError("a step failed")

    monkeypatch.setattr("fgbench.runs.executors.runner.do_run", fail)
    with pytest.raises(FgbenchError) as failure:
        doing(mini.run_of("fv_sift"))(tmp_path, silent)
    assert not isinstance(failure.value, remote.RefusedError)


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (Failure("x", "no data", error="RefusedError"), ("refused", "no data")),
        (Failure("x", "its process ended with signal 9"), ("died", "its process ended with signal 9")),
        (Failure("x", "wrong", error="FgbenchError"), ("failed", Failure("x", "wrong", error="FgbenchError"))),
    ],
)
def test_what_the_process_of_a_run_says_is_handed_on(failure, answer, monkeypatch):
    monkeypatch.setattr(pool, "run_tasks", lambda tasks, watcher: [failure])
    assert remote.serve(**remote.order(mini.run_of("fv_sift")), report=silent) == answer


def test_a_finished_run_leaves_the_machine(monkeypatch):
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
    kind, files = remote.serve(**remote.order(run), report=lambda *step: steps.append(step))
    assert (kind, steps) == ("done", [("test", 0.9)])
    assert sorted(files) == [f"{run.id}.json", f"{run.id}.npz"]
    assert list(store.folder.iterdir()) == []

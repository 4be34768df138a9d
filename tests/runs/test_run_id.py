"""Content of the run id. Values do not depend on anything that the id does not contain."""

import os
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import Mock

import mini
import numpy as np
import pytest
import torch

from fgbench.records.record import Deviation
from fgbench.records.store import Store
from fgbench.runs.executors.runner import run_plan
from fgbench.runs.outside_network import OutsideNetwork
from fgbench.runs.planning import Plan
from fgbench.runs.run import Changes, Run

IN_ID = {"recipe", "profile", "seed", "settings", "protocol", "streams", "device", "changes", "network",
         "parent"}  # fmt: skip
NOT_IN_ID = {"deviations": "computed from settings and recipe", "expected": "an estimate of the cost",
             "keep_network": "a file beside the record", "network_needed": "a condition of other runs",
             "loggers": "copies of the learning curve", "log_every": "copies of the learning curve"}  # fmt: skip
"""Field -> why it is not in the id."""
ENTRIES = {
    "recipe", "method", "profile", "seed", "settings", "protocol", "streams", "device", "processes", "code",
    "libraries",
}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return mini.run_of("bcnn_dm")


def test_every_field_of_a_run_is_in_the_id_or_excluded_with_a_reason():
    assert {field.name for field in fields(Run)} == IN_ID | set(NOT_IN_ID)


def test_every_change_of_the_user_is_in_the_id():
    resolved = {
        "data": "protocol",
        "classes": "protocol",
        "size": "settings",
        "shuffle_labels": "protocol",
        "backbone": "settings",
        "precision": "settings",
        "recompress": "settings",
        "epochs": "settings",
        "set_values": "settings",
        "limit": "protocol",
    }
    assert {field.name for field in fields(Changes)} == {*resolved, "watch_test", "watch_every", "compile"}


def test_entries_of_the_id(run):
    assert set(run.id_content()) == ENTRIES
    assert set(replace(run, changes=Changes(watch_test=True)).id_content()) == ENTRIES | {"watch_test"}
    compiled = replace(run, changes=Changes(compile=True)).id_content()
    assert compiled == run.id_content() | {"compile": True}
    every_other = replace(run, changes=Changes(watch_test=True, watch_every=2)).id_content()
    assert every_other == run.id_content() | {"watch_test": True, "watch_every": 2}


def changed_runs(run):
    """Return name of a field -> the run with this field changed."""
    settings = run.settings.model_copy(update={"mirror": not run.settings.mirror})
    return {
        "recipe": replace(run, recipe=run.recipe.model_copy(update={"name": "bcnn/another"})),
        "profile": replace(run, profile="frozen"),
        "seed": replace(run, seed=1),
        "settings": replace(run, settings=settings),
        "protocol": replace(run, protocol=replace(run.protocol, images="0" * 16)),
        "streams": replace(run, streams=(replace(run.streams[0], sha256="0" * 64), *run.streams[1:])),
        "device": replace(run, device="cuda"),
        "changes": replace(run, changes=Changes(watch_test=True)),
        "deviations": replace(
            run, deviations=(Deviation(field="x", recipe=1, run=2, origin="ours", changes_experiment=True),)
        ),
        "expected": replace(run, expected=Mock()),
        "keep_network": replace(run, keep_network=True),
        "network_needed": replace(run, network_needed=True),
        "loggers": replace(run, loggers=("csv",)),
        "log_every": replace(run, log_every=3),
        "parent": replace(run, parent=replace(run, seed=1)),
        "network": replace(run, network=OutsideNetwork(Path("x.pth"), "0" * 64, "x", "y")),
    }


def test_only_fields_in_the_id_change_it(run):
    changed = {name: other_run.id for name, other_run in changed_runs(run).items()}
    assert set(changed) == IN_ID | set(NOT_IN_ID)
    assert {name for name, run_id in changed.items() if run_id != run.id} == IN_ID


def test_processes_and_libraries_are_in_the_id(run, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert replace(run).id != run.id
    monkeypatch.undo()
    monkeypatch.setattr("fgbench.runs.run._libraries", lambda: {"torch": "1.0"})
    assert replace(run).id != run.id


def test_number_of_threads_depends_only_on_the_profile(run):
    assert [replace(run, profile=profile).threads for profile in ("quick", "frozen", "paper")] == [1, 4, 4]


@pytest.mark.parametrize(("device", "cores", "threads"), [("cpu", 2, 2), ("cpu", 8, 4), ("cuda", 2, 4)])
def test_a_run_in_bfloat16_has_at_most_one_thread_for_each_core(device, cores, threads, run, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    half = run.settings.model_copy(update={"precision": "bf16-mixed"})
    assert replace(run, profile="paper", device=device, settings=half).threads == threads


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_change_neither_the_id_nor_the_threads(jobs, run, monkeypatch, tmp_path):
    plans = []
    monkeypatch.setattr(
        "fgbench.runs.executors.runner.run_tasks", lambda tasks, *rest, **more: plans.append(tasks) or []
    )
    run_plan(Plan((run,), {}), tmp_path, Mock(), jobs=jobs)
    *_, task = plans[-1]
    assert task.threads == run.threads == 1


@pytest.mark.parametrize("name", ["bcnn_dm", "fv_cnn_d", "fv_sift"])
def test_values_do_not_depend_on_the_threads_of_the_process(name, tmp_path):
    """Covers training, vocabulary, descriptors, SVM and prediction. FV-SIFT differs if the number is not fixed."""
    outputs, identities = {}, set()
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            record = mini.do(mini.run_of(name), tmp_path / str(threads))
            assert torch.get_num_threads() == threads
            outputs[threads] = Store(tmp_path / str(threads) / "records").outputs(record)
            identities.add((record.run_id, record.identity))
    finally:
        torch.set_num_threads(before)
    assert len(identities) == 1
    assert set(outputs[1]) == set(outputs[3])
    for array, values in outputs[1].items():
        assert np.array_equal(values, outputs[3][array]), array

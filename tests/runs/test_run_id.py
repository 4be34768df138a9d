"""What the id of a run contains and what it does not; values do not depend on what it leaves out."""

from dataclasses import fields, replace

import mini
import numpy as np
import pytest
import torch

from fgbench.records.record import Deviation
from fgbench.records.store import Store
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes, Run

IN_ID = {"recipe", "profile", "seed", "settings", "protocol", "streams", "device", "changes"}
NOT_IN_ID = {
    "threads": "values do not depend on it",
    "deviations": "found by comparing the settings with the recipe",
}
ENTRIES = {
    "recipe", "method", "profile", "seed", "settings", "protocol", "streams", "device", "processes", "code",
    "libraries",
}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return mini.run_of("bcnn_dm")


def test_every_field_of_a_run_is_in_the_id_or_has_a_reason_not_to_be():
    assert {field.name for field in fields(Run)} == IN_ID | set(NOT_IN_ID)


def test_every_field_of_the_changes_is_in_the_id():
    resolved = {
        "classes": "protocol",
        "size": "settings",
        "shuffle_labels": "protocol",
        "backbone": "settings",
        "precision": "settings",
    }
    assert {field.name for field in fields(Changes)} == {*resolved, "watch_test"}


def test_the_entries_of_the_id(run):
    assert set(run.id_content()) == ENTRIES
    assert set(replace(run, changes=Changes(watch_test=True)).id_content()) == ENTRIES | {"watch_test"}


def other(run):
    """The run with one field changed, by name of the field."""
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
        "threads": replace(run, threads=7),
        "deviations": replace(
            run, deviations=(Deviation(field="x", recipe=1, run=2, origin="ours", changes_experiment=True),)
        ),
    }


def test_a_field_in_the_id_changes_it_and_no_other_does(run):
    changed = {name: other_run.id for name, other_run in other(run).items()}
    assert set(changed) == IN_ID | set(NOT_IN_ID)
    assert {name for name, run_id in changed.items() if run_id != run.id} == IN_ID


def test_processes_and_libraries_are_in_the_id(run, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert replace(run).id != run.id
    monkeypatch.undo()
    monkeypatch.setattr("fgbench.runs.run._libraries", lambda: {"torch": "1.0"})
    assert replace(run).id != run.id


@pytest.mark.parametrize("name", ["bcnn_dm", "fv_cnn_d", "fv_sift"])
def test_values_do_not_depend_on_the_number_of_threads(name, tmp_path):
    """Training, vocabulary, descriptors, SVM and prediction, each with one, two and three threads."""
    outputs, identities = {}, set()
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            (planned,) = plan([mini.recipe(name)], "quick", [0], threads=threads).runs
            record = mini.do(planned, tmp_path / str(threads))
            outputs[threads] = Store(tmp_path / str(threads) / "records").outputs(record)
            identities.add((record.run_id, record.identity))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(identities) == 1
    for threads in (2, 3):
        assert set(outputs[threads]) == set(outputs[1])
        for array, values in outputs[1].items():
            assert np.array_equal(values, outputs[threads][array]), (threads, array)

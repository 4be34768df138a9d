"""Runs in `bf16-mixed` on a CPU: frozen networks compute in bfloat16, trained ones only in their training."""

from dataclasses import replace

import mini
import numpy as np
import pytest
import torch
from frozen_runs import frozen_run
from pool_tasks import Notes

from fgbench.backbones import Backbone
from fgbench.datasets.image_files import ImageFiles
from fgbench.records.store import Store
from fgbench.runs import built_method
from fgbench.runs.executors import runner
from fgbench.runs.executors.runner import Result, run_plan
from fgbench.runs.frozen_networks import trains_networks, uses_bf16
from fgbench.runs.kept_run import open_kept_run
from fgbench.runs.planning import Plan, planned_index
from fgbench.runs.run import Changes
from fgbench.runs.streams import maps_folder

HALF = "bf16-mixed"
HEAD = mini.STAGE.model_copy(update={"train": ("classifier",), "augment": False, "lr": 1.0})
IMAGES = 160 + 80
"""Number of training and test images."""


@pytest.fixture
def types(monkeypatch):
    """The types of the maps that convolutions return, by whether gradients are computed."""
    seen: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    call = torch.nn.Conv2d.forward

    def noted(self, x):
        maps = call(self, x)
        seen[torch.is_grad_enabled()].add(maps.dtype)
        return maps

    monkeypatch.setattr(torch.nn.Conv2d, "forward", noted)
    return seen


def scores(folder, record):
    return Store(folder / "records").outputs(record)["scores"]


def test_a_frozen_network_in_bfloat16_is_another_run_with_nearly_the_same_scores(tmp_path, monkeypatch):
    def done(precision):
        run = frozen_run(tmp_path, monkeypatch, "bcnn_dd", precision=precision)
        return run, mini.do(run, tmp_path)

    (full, exact), (half, rounded), (again, _) = done(None), done(HALF), done("32-true")
    assert full.id == again.id != half.id
    assert (exact.settings["precision"], rounded.settings["precision"]) == ("32-true", HALF)
    added = [deviation for deviation in rounded.deviations if deviation not in exact.deviations]
    assert [(d.field, d.recipe, d.run, d.changes_experiment) for d in added] == [("precision", "32-true", HALF, False)]
    assert rounded.protocol_hash == exact.protocol_hash
    first, second = scores(tmp_path, exact), scores(tmp_path, rounded)
    assert second.dtype == np.float32
    assert 0 < np.abs(first - second).max() < 0.2 * np.abs(first).max()
    assert Store(tmp_path / "records").verify(rounded) == []


def test_maps_are_not_shared_between_precisions_and_are_recalled_within_one(tmp_path, monkeypatch):
    def done(precision, folder):
        run = frozen_run(tmp_path, monkeypatch, "bcnn_dd", precision=precision)
        return mini.do(run, tmp_path / folder)

    recalled = [done(precision, str(n)).cost.recalled for n, precision in enumerate((None, HALF, HALF, None))]
    assert recalled == [0, 0, 2 * IMAGES, 2 * IMAGES]  # with the mirror images
    (stream,) = set(frozen_run(tmp_path, monkeypatch, "bcnn_dd").streams)
    folders = [maps_folder(stream, bf16=bf16) for bf16 in (False, True)]
    assert [len(list(folder.rglob("*.npz"))) for folder in folders] == [2 * IMAGES] * 2
    monkeypatch.setattr("fgbench.runs.streams.cpu_name", lambda: "another processor")
    assert [maps_folder(stream, bf16=bf16) in folders for bf16 in (False, True)] == [True, False]


@pytest.mark.parametrize(
    ("stages", "trained", "predicted"),
    [
        ({}, set(), {torch.bfloat16}),
        ({"head": HEAD}, set(), {torch.bfloat16}),
        ({"all": mini.STAGE}, {torch.bfloat16}, {torch.float32}),
        ({"head": HEAD, "all": mini.STAGE.model_copy(update={"step": 2})}, {torch.bfloat16}, {torch.float32}),
    ],
    ids=["none", "head", "network", "head, then network"],
)
def test_only_frozen_networks_predict_in_bfloat16(stages, trained, predicted, tmp_path, monkeypatch, types):
    dumped = {name: stage.model_dump() for name, stage in stages.items()}
    run = frozen_run(tmp_path, monkeypatch, "bcnn_dd", stages=dumped, precision=HALF)
    assert trains_networks("bcnn", run.settings) == bool(trained)
    assert uses_bf16("bcnn", run.settings) == (not trained)
    assert not uses_bf16("bcnn", run.settings.model_copy(update={"precision": "32-true"}))
    mini.do(run, tmp_path)
    assert types == {True: trained, False: predicted}


FIXED = Changes(set_values=("fixed_blocks=1",), precision=HALF, epochs=1)


def test_fixed_blocks_predict_in_bfloat16_and_the_trained_ones_in_float32(tmp_path, types):
    run = mini.run_of("bcnn_dd", changes=FIXED)
    assert trains_networks("bcnn", run.settings)
    mini.do(run, tmp_path)
    assert types == {True: {torch.bfloat16}, False: {torch.bfloat16, torch.float32}}


def test_maps_of_fixed_blocks_in_bfloat16_have_their_own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(built_method, "SMALL_NETWORKS", ())  # small networks have no cache
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    run = mini.run_of("bcnn_dd", changes=FIXED)
    mini.do(run, tmp_path)
    folders = [maps_folder(run.streams[0], bf16=bf16, blocks=1) for bf16 in (False, True)]
    assert [len(list(folder.rglob("*.npz"))) for folder in folders] == [0, 2 * IMAGES]


def test_a_training_in_bfloat16_learns(tmp_path):
    run = mini.run_of("bcnn_dm", changes=Changes(precision=HALF))
    assert run.id != mini.run_of("bcnn_dm").id
    record = mini.do(run, tmp_path)
    assert record.values["accuracy"].value > 25 + 100 * 2.5 * np.sqrt(0.25 * 0.75 / 80)
    losses = [point.loss for point in record.curve if point.stage == "finetune"]
    assert losses[-1] < losses[0]


def test_an_interrupted_run_continues_in_its_precision(tmp_path, monkeypatch):
    whole = mini.do(frozen_run(tmp_path, monkeypatch, "bcnn_dd", precision=HALF), tmp_path / "whole")
    compute, calls = Backbone._compute, []

    def stopped(self, images):
        calls.append(len(images))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return compute(self, images)

    run = frozen_run(tmp_path / "other", monkeypatch, "bcnn_dd", precision=HALF)
    with monkeypatch.context() as patch:
        patch.setattr(Backbone, "_compute", stopped)
        with pytest.raises(KeyboardInterrupt):
            mini.do(run, tmp_path / "parts")
    parts = mini.do(run, tmp_path / "parts")
    assert (parts.run_id, parts.cost.sittings) == (whole.run_id, 2)
    assert np.array_equal(scores(tmp_path / "whole", whole), scores(tmp_path / "parts", parts))


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_of_a_pool_keep_the_precision(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "do_run", mini.do_task)
    runs = tuple(mini.run_of("fc_cnn_d", changes=Changes(precision=precision, epochs=1)) for precision in (None, HALF))
    assert run_plan(Plan(runs, {}), tmp_path, Notes(), jobs=jobs) == Result(2, 0, ())
    records = [Store(tmp_path / "records").read(run.id) for run in runs]
    assert [record.settings["precision"] for record in records] == ["32-true", HALF]
    assert not np.array_equal(*(scores(tmp_path, record) for record in records))


@pytest.mark.parametrize("trained", [False, True])
def test_a_kept_run_predicts_what_its_record_has(trained, tmp_path, monkeypatch):
    run = (
        mini.run_of("bcnn_dd", changes=FIXED)
        if trained
        else frozen_run(tmp_path, monkeypatch, "bcnn_dd", precision=HALF)
    )
    run = replace(run, keep_network=True)
    record = mini.do(run, tmp_path)
    index = planned_index(run)
    test = index.select(~index.train)
    kept = open_kept_run(tmp_path, record.run_id)
    answer = kept.predict(ImageFiles([test.root / file for file in test.files], kept.pipeline))
    assert np.array_equal(answer.outputs["scores"], scores(tmp_path, record))

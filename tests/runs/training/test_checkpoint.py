"""Checkpoints are written beside the training, one at a time, and complete before the stage ends."""

import os
from pathlib import Path
from threading import Event

import pytest
import torch
from simulated_gpu import SimulatedGpu
from small_trainings import bcnn, data, same, stage, values

from fgbench.runs.training import checkpoint, loop
from fgbench.runs.training.batches import BatchSource
from fgbench.runs.training.checkpoint import CheckpointWriter, host_copy
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train
from fgbench.util.errors import FgbenchError
from fgbench.util.torch_files import load_torch, save_torch

STAGES = [("head", stage(train=("classifier",), augment=False, epochs=2)), ("all", stage(step=2, epochs=3))]


@pytest.fixture(autouse=True)
def a_checkpoint_after_each_epoch(monkeypatch):
    monkeypatch.setattr(loop, "SAVING_SHARE", 1e9)


def trained(folder, stages=STAGES, **options):
    method = bcnn()
    folder.mkdir(exist_ok=True)
    curve = train(method, data(), stages, seed=0, engine=Engine(), work=folder, **options)
    return values(method), [(point.stage, point.epoch, point.loss) for point in curve]


def test_the_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    """The file has the values at the end of its epoch, though the network has changed when it is written."""
    whole = trained(tmp_path / "whole")
    next_epoch, waited, positions = Event(), [], []

    def save(path, state):
        if not waited:
            waited.append(next_epoch.wait(60))
        positions.append((state["stage"], state["epoch"]))
        save_torch(path, state)

    class Stop(Exception):
        pass

    def stop(name, done, total):
        if (name, done) == ("all", 2):
            next_epoch.set()
            raise Stop

    trained(tmp_path / "parts", STAGES[:1])
    monkeypatch.setattr(checkpoint, "save_torch", save)
    with pytest.raises(Stop):
        trained(tmp_path / "parts", progress=stop)
    assert waited == [True]
    assert positions == [(1, 1)]
    again = trained(tmp_path / "parts")
    assert same(again[0], whole[0])
    assert again[1] == whole[1]


def test_checkpoints_are_written_one_at_a_time_and_before_the_features_are_dropped(tmp_path, monkeypatch):
    events, dropped = [], Event()

    def save(path, state):
        events.append("begin")
        dropped.wait(0.05)  # time for a mistake
        events.append("end")

    def drop(self):
        events.append("drop")
        dropped.set()

    monkeypatch.setattr(checkpoint, "save_torch", save)
    monkeypatch.setattr(BatchSource, "drop", drop)
    trained(tmp_path, STAGES[:1])
    assert events == ["begin", "end"] * 2 + ["drop"]


def test_an_error_of_writing_is_raised_before_the_next_checkpoint_is_due(tmp_path, monkeypatch):
    def save(path, state):
        raise FgbenchError("the disk is full", "free space")

    monkeypatch.setattr(checkpoint, "save_torch", save)
    with CheckpointWriter(tmp_path / "c.pt") as writer:
        writer.write({})
        writer._call.exception(60)
        with pytest.raises(FgbenchError, match="the disk is full"):
            writer.is_due(1e-9)


def test_an_error_of_the_last_checkpoint_is_raised(tmp_path, monkeypatch):
    def save(path, state):
        raise FgbenchError("the disk is full", "free space")

    monkeypatch.setattr(checkpoint, "save_torch", save)
    with pytest.raises(FgbenchError, match="the disk is full"):
        trained(tmp_path, [("all", stage(epochs=1))])


def test_an_unfinished_checkpoint_postpones_the_next_one(tmp_path, monkeypatch):
    now, finish = [0.0], Event()
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "save_torch", lambda path, state: finish.wait(60))
    with CheckpointWriter(tmp_path / "c.pt") as writer:
        assert writer.is_due(0.2)
        writer.write({})
        now[0] = 1000.0
        assert not writer.is_due(0.2)
        now[0] = 1003.0
        finish.set()
        writer.wait()  # it took 1003 s
        now[0] = 5 * 1003 - 1
        assert not writer.is_due(0.2)
        now[0] += 2
        assert writer.is_due(0.2)


def test_an_error_of_the_training_waits_for_the_checkpoint(tmp_path, monkeypatch):
    """The same program may continue the training at once."""
    left, finished = Event(), []
    monkeypatch.setattr(checkpoint, "save_torch", lambda path, state: (left.wait(0.3), finished.append(path)))

    def fails():
        with CheckpointWriter(tmp_path / "c.pt") as writer:
            writer.write({})
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    left.set()
    assert finished == [tmp_path / "c.pt"]


def test_an_error_is_not_lost_if_the_next_checkpoint_follows_at_once(tmp_path, monkeypatch):
    begun = Event()

    def save(path, state):
        begun.wait(60)
        raise FgbenchError("the disk is full", "free space")

    monkeypatch.setattr(checkpoint, "save_torch", save)
    with CheckpointWriter(tmp_path / "c.pt") as writer:
        writer.write({})
        begun.set()
        with pytest.raises(FgbenchError, match="the disk is full"):
            writer.write({})


class StoppedError(BaseException):
    """The end of the program."""


def test_a_program_that_is_killed_at_any_point_continues_from_a_checkpoint(tmp_path, monkeypatch):
    whole = trained(tmp_path / "whole")
    for at in range(1, 100):
        folder, calls = tmp_path / str(at), []

        def counted(function, calls=calls, at=at):
            def call(*arguments, **options):
                calls.append(function)
                if len(calls) == at:
                    raise StoppedError
                return function(*arguments, **options)

            return call

        try:
            with monkeypatch.context() as patch:
                for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "chmod")):
                    patch.setattr(owner, name, counted(getattr(owner, name)))
                trained(folder)
            break
        except StoppedError:
            again = trained(folder)
        assert same(again[0], whole[0])
        assert again[1] == whole[1]
    assert at > 15


def test_a_state_on_a_gpu_is_copied_with_one_wait_and_shared_tensors_once():
    method = bcnn()
    expected = values(method)
    with SimulatedGpu() as gpu:
        method.to("cuda")
        gpu.clear()
        tensors = method.state_dict(keep_vars=True)
        state = host_copy({"method": tensors, "again": dict(tensors), "curve": [{"loss": 0.5}], "betas": (1, 2)})
        assert [wait.split()[0] for wait in gpu.waits] == ["synchronize"]
        assert gpu.copied == sum(tensor.nbytes for tensor in tensors.values())
    assert same(state["method"], expected)
    assert same(state["again"], expected)
    assert (state["curve"], state["betas"]) == ([{"loss": 0.5}], (1, 2))


def test_a_copied_state_is_not_changed_with_the_network(tmp_path):
    weight = torch.nn.Parameter(torch.ones(3))
    copied = host_copy({"w": weight, "same": weight})
    with torch.no_grad():
        weight += 1
    assert torch.equal(copied["w"], torch.ones(3))
    assert copied["same"] is copied["w"]
    assert not copied["w"].requires_grad
    with CheckpointWriter(tmp_path / "c.pt") as writer:
        writer.write({"w": weight})
        with torch.no_grad():
            weight += 1
    assert torch.equal(load_torch(tmp_path / "c.pt")["w"], torch.full((3,), 2.0))

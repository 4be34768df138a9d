"""Training on the simulated GPU: the values of the CPU, and no wait but that for the sums of an epoch."""

import pytest
import torch
from gpu_training import PLENTY, gpu_with, waits_outside_augmentation
from simulated_tensor import SimulatedTensor
from small_trainings import Share, Stop, bcnn, data, numbered_data, source, stage, values

from fgbench.runs.training import loop
from fgbench.runs.training.batches import BatchSource
from fgbench.runs.training.loop import train
from fgbench.runs.training.training_log import TrainingLog

PLACES = {"in the memory of the GPU": PLENTY, "read ahead": 0}
"""Where the images are -> free memory in bytes."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("augmented", [False, True])
def test_batches_on_the_gpu_are_those_of_the_cpu(place, augmented, tmp_path):
    plan = stage(batch_size=4, augment=augmented)
    expected = list(source(tmp_path, plan).batches(2))
    with gpu_with(PLACES[place]) as (gpu, engine):
        batches = BatchSource(bcnn().to("cuda"), numbered_data(), plan, 0, "s", engine, tmp_path / "features.npy")
        assert isinstance(batches.images, SimulatedTensor) == (place == "in the memory of the GPU")
        gpu.clear()
        found = list(batches.batches(2))
        assert waits_outside_augmentation(gpu) == []
        for batch, other in zip(found, expected, strict=True):
            tensors = [(batch.images, other.images), *zip(batch.target, other.target, strict=True)]
            for tensor, reference in tensors:
                assert isinstance(tensor, SimulatedTensor)
                assert torch.equal(tensor.cpu(), reference)
            assert (batch.share, batch.whole) == (other.share, other.whole)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("epochs", [1, 3])
def test_an_epoch_waits_once_for_the_gpu(place, epochs, tmp_path):
    reference, plan = bcnn(), stage(epochs=epochs)
    curve = train(reference, data(), [("s", plan)], seed=0, engine=Share(), work=tmp_path)
    with gpu_with(PLACES[place]) as (gpu, engine):
        method = bcnn().to("cuda")
        batches = BatchSource(method, data(), plan, 0, "s", engine, tmp_path / "features.npy")
        optimizer = loop._optimizer(method, plan)
        gpu.clear()
        for epoch in range(1, epochs + 1):
            loss, accuracy = loop._train_epoch(method, plan, optimizer, batches.batches(epoch), engine, TrainingLog({}))
        assert len(waits_outside_augmentation(gpu)) == epochs
        assert all("loop.py" in wait for wait in waits_outside_augmentation(gpu))
        found = {name: value.cpu() for name, value in values(method).items()}
    assert (loss, accuracy) == (curve[-1].loss, curve[-1].accuracy)
    assert all(torch.equal(found[name], value) for name, value in values(reference).items())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_resumed_stage_waits_no_more_than_an_uninterrupted_one(optimizer, tmp_path, monkeypatch):
    """The checkpoint is read to the GPU; Adam would wait there for its number of steps."""
    monkeypatch.setattr(loop, "SAVING_SHARE", 1e9)
    plan = [("s", stage(train=("classifier",), epochs=2, optimizer=optimizer))]

    def stop(stage, done, total):
        if done == 2:
            raise Stop  # there is a checkpoint of the first epoch

    with gpu_with() as (gpu, engine):
        epochs = []
        monkeypatch.setattr(loop, "_train_epoch", counted(loop._train_epoch, gpu, epochs))
        whole, resumed = bcnn().to("cuda"), bcnn().to("cuda")
        train(whole, data(), plan, seed=0, engine=engine, work=tmp_path / "whole")
        with pytest.raises(Stop):
            train(bcnn().to("cuda"), data(), plan, seed=0, engine=engine, work=tmp_path / "parts", progress=stop)
        train(resumed, data(), plan, seed=0, engine=engine, work=tmp_path / "parts")
        assert epochs == [1] * (2 + 2 + 1)
        assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))


def counted(train_epoch, gpu, counts):
    def train_and_count(*arguments):
        before = len(waits_outside_augmentation(gpu))
        result = train_epoch(*arguments)
        counts.append(len(waits_outside_augmentation(gpu)) - before)
        return result

    return train_and_count

"""A training that several processes share.

As a program, under torchrun or alone: `process_pair.py train FOLDER`, `process_pair.py leave FOLDER` to note when the
group is left, `process_pair.py full FOLDER` for a disk that is full for the first process, `process_pair.py crash
FOLDER` for a step that fails in the second process, or `process_pair.py run ...` for fgbench's command line, which
knows the mini birds.
"""

import atexit
import os
import sys
from pathlib import Path
from unittest import mock

import mini  # noqa: F401 - the data set is known once it is imported
import numpy as np
import torch
from torch import nn

from fgbench.backbones import load_backbone
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import Task, methods
from fgbench.methods.bcnn import Bcnn
from fgbench.papers.settings import Stage
from fgbench.runs.training import checkpoint, distributed
from fgbench.runs.training.batches import TrainData
from fgbench.runs.training.distributed import Engine, SharedError
from fgbench.runs.training.loop import Epoch, train
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.seeding import generator

PIPELINE = Pipeline.parse(
    "resize(64) | random_crop(56) | flip | rotate(10) | shift(2, 1) | color_jitter(0.2) | pca_noise(0.1)"
)
BATCH = 7
CASES = {"uneven": ("squeezenet1_1:features", 25), "last batch of one": ("squeezenet1_1:features", 22)}
NORMALISED = {"batch norm": ("tiny_m:conv", 25)}
RECIPE = """
data = "mini_birds"
[profiles.quick]
set.mirror = false
[recipes.bcnn]
title = "B-CNN"
method = "bcnn"
[recipes.bcnn.ours]
backbones = ["tiny_m:conv", "tiny_m:conv"]
train_pipeline = "resize_short(52, bilinear) | center_crop(52) | random_crop(48) | flip | rotate(10)"
test_pipeline = "resize_short(48, bilinear) | center_crop(48)"
mirror = false
classifier = "softmax"
stages.first = { step = 1, train = ["classifier"], epochs = 2, batch_size = 16, lr = 1.0, momentum = 0.9, \
weight_decay = 5e-4, augment = false }
stages.second = { step = 2, train = ["classifier"], epochs = 2, batch_size = 33, lr = 0.5, momentum = 0.9, \
weight_decay = 5e-4 }
"""
"""Trains only classifiers, because batch normalisation uses the statistics of the images of each process."""


class Idle(Bcnn):
    """Has parameters that no loss depends on."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.idle = nn.Parameter(torch.ones(5))

    def modules_of(self, group: str) -> list[nn.Module]:
        return super().modules_of(group) + ([_Only(self.idle)] if group == "backbone" else [])


class _Only(nn.Module):
    def __init__(self, parameter: nn.Parameter) -> None:
        super().__init__()
        self.parameter = parameter


def stage(step: int, **fields: object) -> Stage:
    base = {"train": ("classifier", "backbone"), "epochs": 2, "batch_size": BATCH, "lr": 0.01, "momentum": 0.9,
            "weight_decay": 1e-3, "classifier_lr_scale": 30.0}  # fmt: skip
    return Stage(step=step, **{**base, **fields})


STAGES = [("head", stage(1, train=("classifier",), augment=False)), ("all", stage(2, epochs=1))]


def data(count: int) -> TrainData:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 90, (count, 64, 64, 3), dtype=np.uint8)
    pixels[np.arange(count), :, :, labels] += 120
    return TrainData(pixels, labels.astype(np.int64), PIPELINE)


def trained(stream: str, count: int, work: Path) -> tuple[dict[str, torch.Tensor], list[Epoch]]:
    """State and learning curve of a B-CNN trained on `count` images."""
    backbone = load_backbone(*stream.split(":"), pretrained=False)
    # A large epsilon, because the steep gradient of the root near zero would amplify rounding errors.
    options = methods["bcnn"].Options(epsilon=0.1)
    method = Idle([backbone, backbone], Task(3, 50), options, generator(0, "w"))
    work.mkdir(parents=True, exist_ok=True)
    curve = train(method, data(count), STAGES, seed=0, engine=Engine(), work=work)
    return method.state_dict(), curve


def full_disk(path: Path, state: object) -> None:
    raise FgbenchError(f"the disk of {path.parent} is full")


def crash(*_: object) -> None:
    raise RuntimeError("planted")


if __name__ == "__main__":
    if sys.argv[1] == "train":
        folder = Path(sys.argv[2])
        distributed.BUCKET_BYTES = 100_000  # several buckets in each step
        for case, arguments in (CASES | NORMALISED).items():
            state, curve = trained(*arguments, folder / case)
            points = [(point.loss, point.accuracy) for point in curve]
            torch.save({"state": state, "curve": points}, folder / f"{case}-{Engine().rank}.pt")
    elif sys.argv[1] == "full":
        folder = Path(sys.argv[2])
        with mock.patch.object(checkpoint, "save_torch", checkpoint.save_torch if Engine().rank else full_disk):
            try:
                trained(*CASES["uneven"], folder / "full")
            except SharedError as error:
                (folder / f"{Engine().rank}.txt").write_text(str(error))
        trained(*CASES["uneven"], folder / "again")  # the processes are still in step
    elif sys.argv[1] == "crash":
        with mock.patch.object(Engine, "start_sum", crash if Engine().rank else Engine.start_sum):
            trained(*CASES["uneven"], Path(sys.argv[2]))
    elif sys.argv[1] == "leave":
        noted = Path(sys.argv[2]) / os.environ["RANK"]
        atexit.register(lambda: noted.with_suffix(".end").write_text(str(torch.distributed.is_initialized())))
        Engine().wait()  # functions registered first are called last
        noted.with_suffix(".work").write_text(str(torch.distributed.is_initialized()))
    else:
        from fgbench.cli import app

        records, end = Path(sys.argv[-1]) / "records", f"process {os.environ['RANK']} ended"
        atexit.register(lambda: print(f"{end}, records: {len(list(records.glob('*.json')))}", flush=True))
        app(sys.argv[1:])

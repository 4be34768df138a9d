"""Training data of few images, and a small network that learns from it."""

import numpy as np
import torch

from fgbench.backbones import load_backbone
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import Task, methods
from fgbench.papers.settings import Stage
from fgbench.runs.training.batches import BatchSource, TrainData
from fgbench.runs.training.distributed import Engine
from fgbench.util.numeric.seeding import generator

NAMES = ("left eye", "right eye", "tail")
PIPELINE = Pipeline.parse("resize(32) | random_crop(28) | flip | rotate(20)")


def data(n=24, classes=3, seed=0):
    """Return images in which the channel of their class is brighter."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    pixels = rng.integers(0, 90, (n, 32, 32, 3), dtype=np.uint8)
    pixels[np.arange(n), :, :, labels] += 120
    return TrainData(pixels, labels.astype(np.int64), Pipeline.parse("resize(32) | flip"))


def bcnn(seed=0):
    """Return B-CNN on a tiny network with three classes."""
    streams = [load_backbone("tiny_m", "conv", pretrained=False)] * 2
    kind = methods["bcnn"]
    return kind(streams, Task(3, 32), kind.Options(), generator(seed, "w"))


def stage(**fields):
    """Return a stage of training with some fields changed."""
    base = {"step": 1, "train": ("classifier", "backbone"), "epochs": 3, "batch_size": 8, "lr": 0.01, "momentum": 0.9,
            "weight_decay": 1e-4}  # fmt: skip
    return Stage(**{**base, **fields})


class Share(Engine):
    """One of several processes, while the others do not exist."""

    def __init__(self, rank=0, processes=1):
        super().__init__()
        self.rank, self.processes = rank, processes


def numbered_data(count=10):
    """Return images whose pixels have the number of the image, with a bright dot at the last keypoint."""
    rng = np.random.default_rng(0)
    pixels = np.zeros((count, 32, 32, 3), np.uint8) + np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None]
    places = rng.integers(12, 20, (count, 2))
    for image, (x, y) in zip(pixels, places, strict=True):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    keypoints = np.ones((count, 3, 3))
    keypoints[:, 0, :2], keypoints[:, 1, :2], keypoints[:, 2, :2] = (9, 11), (21, 12), places + 0.5
    return TrainData(pixels, np.arange(count) % 3, PIPELINE, keypoints, NAMES)


def source(tmp_path, plan, given=None, engine=None, seed=0, name="s"):
    """Return the batches of a stage."""
    return BatchSource(bcnn(), given or numbered_data(), plan, seed, name, engine or Share(), tmp_path / "features.npy")


class Stop(Exception):
    pass


def values(method):
    return {name: value.clone() for name, value in method.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

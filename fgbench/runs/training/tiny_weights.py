"""Weights of the small networks of the `quick` profile, trained here on synthetic species that no data set uses."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from safetensors.torch import save_file

from fgbench.backbones import load_backbone
from fgbench.datasets import cub
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.datasets.synthetic import birds
from fgbench.methods import Task, methods
from fgbench.papers.settings import Stage
from fgbench.runs.training.batches import TrainData
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train
from fgbench.util.code_hash import hash_code
from fgbench.util.files import cache_folder, write_atomic
from fgbench.util.hashing import hash_value
from fgbench.util.numeric.seeding import generator, same_operations

BIRDS = birds.SyntheticBirds(classes=40, train_per_class=30, test_per_class=1, first_class=1000, seed=1)
"""Settings of the training images."""
PIPELINE = "resize_short(96, bilinear) | center_crop(96) | flip"
"""Preprocessing of the training images."""
STAGE = Stage(
    step=1,
    train=("classifier", "backbone"),
    epochs=20,
    batch_size=32,
    lr=0.05,
    lr_drops=(14, 18),
    momentum=0.9,
    weight_decay=5e-4,
)
"""The only stage of the training."""


def pretraining_hash(network: str) -> str:
    """Return a hash of everything that can change the weights: network, settings, images, code."""
    return hash_value(
        [
            network,
            birds.settings_hash(BIRDS),
            PIPELINE,
            STAGE.model_dump(mode="json"),
            hash_code(),
            torch.__version__,
        ]
    )


def pretrained_tiny(network: str, progress: Callable[[str, float], object] = lambda what, share: None) -> Path:
    """Return the weight file of a small network. The first call trains it; an interrupted call is continued.

    Args:
        network: `tiny_d` or `tiny_m`.
        progress: called with (name of the current step, finished share).

    Returns:
        A safetensors file.
    """
    path = cache_folder() / "weights" / f"{network}-{pretraining_hash(network)}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.is_file():
                _train(network, path, progress)
    return path


def pretraining_birds() -> Path:
    """Return the folder of the training images; the first call generates them."""
    folder = cache_folder() / "data" / f"pretraining_birds-{birds.settings_hash(BIRDS)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            birds.generate(folder, BIRDS)
    return folder


def _train(network: str, path: Path, progress: Callable[[str, float], object]) -> None:
    index = cub.load(pretraining_birds(), "pretraining_birds")
    index = index.select(index.train)
    pipeline = Pipeline.parse(PIPELINE)
    backbone = load_backbone(network, "pool", pretrained=False)
    kind = methods["fc_cnn"]
    method = kind([backbone], Task(len(index.classes), pipeline.output_size), kind.Options(), generator(0, network))
    work = path.with_suffix(".work")
    work.mkdir(exist_ok=True)
    with same_operations():
        train(
            method,
            TrainData(np.asarray(cached_pixels(index, pipeline)), index.labels, pipeline),
            [("pretraining", STAGE)],
            seed=0,
            engine=Engine(),
            work=work,
            progress=lambda stage, done, total: progress(f"training {network}", done / total),
        )
    weights = {name: value.contiguous() for name, value in backbone.state_dict().items()}
    write_atomic(path, lambda temporary: save_file(weights, temporary))
    shutil.rmtree(work)

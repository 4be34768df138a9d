"""Weights of the small networks of the `quick` profile, trained here on synthetic species that no data set uses."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

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
from fgbench.util.damaged import (
    make_work_folder,
    not_a_file,
    read_checked_json,
    set_aside,
    try_checked_json,
    write_checked_json,
)
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, read_bytes, remove_leftovers, storage_error, write_bytes
from fgbench.util.hashing import hash_value
from fgbench.util.locks import locked
from fgbench.util.numeric.seeding import generator, same_operations

BIRDS = birds.SyntheticBirds(classes=40, train_per_class=30, test_per_class=1, size=128, first_class=1000, seed=1)
"""Settings of the training images."""
PIPELINE = "resize_short(96, bilinear) | center_crop(96) | random_crop(64) | flip"
"""Preprocessing of the training images."""
HINT = "set FGBENCH_CACHE to a folder that you can write, on a disk with enough space"
"""What to do if the cache cannot be written."""
STAGE = Stage(
    step=1,
    train=("classifier", "backbone"),
    epochs=34,
    batch_size=32,
    lr=0.05,
    lr_drops=(24, 31),
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


def pretrained_tiny(
    network: str, progress: Callable[[str, float], object] = lambda what, share: None, *, training: str = ""
) -> Path:
    """Return the weight file of a small network. The first call trains it; an interrupted call is continued.

    A damaged file is set aside, and the network is trained again.

    Args:
        network: `tiny_d` or `tiny_m`.
        progress: called with (name of the current step, finished share).
        training: `pretraining_hash(network)`, if it is known.

    Returns:
        A safetensors file.

    Raises:
        FgbenchError: the cache folder cannot be written, or the disk is full.
    """
    path = cache_folder() / "weights" / f"{network}-{training or pretraining_hash(network)}.safetensors"
    if _problem(path):
        with locked(path, HINT):
            remove_leftovers(path.parent)
            if os.path.lexists(path) and (reason := _problem(path)):
                set_aside(path, reason)
            if not path.exists():
                _train(network, path, progress)
    return path


def pretraining_birds() -> Path:
    """Return the folder of the training images. The first call generates them; damaged images are generated again.

    Each call reads all files, about 10 MB, to verify their checksum.
    """
    folder = cache_folder() / "data" / f"pretraining_birds-{birds.settings_hash(BIRDS)}"
    sums = folder.with_suffix(".json")
    if try_checked_json(sums)[0] == {"sha256": _hash_folder(folder)}:
        return folder
    with locked(folder, HINT):
        expected = read_checked_json(sums)
        if expected == {"sha256": _hash_folder(folder)}:
            return folder  # another process has generated them
        if os.path.lexists(folder):
            set_aside(folder, "its files are not those that were generated" if expected else "its checksum is missing")
        try:
            birds.generate(folder, BIRDS)
            write_checked_json(sums, {"sha256": _hash_folder(folder)})
        except OSError as error:
            raise FgbenchError(storage_error(error, folder).args[0], HINT) from error
    return folder


def _hash_folder(folder: Path) -> str:
    """Return one hash of the names and contents of all files in a folder; empty if one cannot be read."""
    digest = hashlib.sha256()
    try:
        for file in sorted(path for path in folder.rglob("*") if not path.is_dir()):
            content = read_bytes(file)
            digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    except OSError:
        return ""
    return digest.hexdigest()


def _problem(path: Path) -> str:
    """Return what is wrong with a weight file, or an empty string."""
    try:
        if reason := not_a_file(path):
            return reason
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
            stored = (file.metadata() or {}).get("digest")
    except Exception as error:  # damaged bytes can raise any error  # noqa: BLE001
        return f"it cannot be read: {error}"
    return "" if stored == _digest(path, state) else "its checksum is wrong"


def _digest(path: Path, state: dict[str, Tensor]) -> str:
    """Return a hash of the file name and of the names, types, shapes and values of all tensors."""
    digest = hashlib.sha256(path.name.encode())
    for name, value in sorted(state.items()):
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _train(network: str, path: Path, progress: Callable[[str, float], object]) -> None:
    index = cub.load(pretraining_birds(), "pretraining_birds")
    index = index.select(index.train)
    pipeline = Pipeline.parse(PIPELINE)
    backbone = load_backbone(network, "pool", pretrained=False)
    kind = methods["fc_cnn"]
    method = kind([backbone], Task(len(index.classes), pipeline.output_size), kind.Options(), generator(0, network))
    work = path.with_suffix(".work")
    make_work_folder(work)
    remove_leftovers(work)
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
    write_bytes(path, save(weights, {"digest": _digest(path, weights)}))
    if work.is_dir():
        shutil.rmtree(work, ignore_errors=True)

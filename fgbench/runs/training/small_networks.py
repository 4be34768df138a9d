"""Training of the two small networks of the profile `quick`. Their weight files are part of the package.

The training images are synthetic species that no data set of fgbench contains.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.torch import save

from fgbench.backbones import load_backbone
from fgbench.datasets import cub
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels, pixel_file
from fgbench.datasets.synthetic import birds
from fgbench.methods import Task, methods
from fgbench.papers.settings import Stage
from fgbench.runs.training.batches import TrainData
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train
from fgbench.util.errors import FgbenchError
from fgbench.util.files import make_folder, storage_error, write_bytes
from fgbench.util.hashing import hash_value
from fgbench.util.numeric.seeding import generator, same_operations

BIRDS = birds.SyntheticBirds(classes=120, train_per_class=30, test_per_class=1, size=128, first_class=1000, seed=1)
"""Settings of the training images."""
PIPELINE = "resize_short(96, bilinear) | center_crop(96) | random_crop(64) | flip"
"""Preprocessing of the training images."""
STAGE = Stage(
    step=1,
    train=("classifier", "backbone"),
    epochs=60,
    batch_size=32,
    lr=0.05,
    lr_drops=(42, 54),
    momentum=0.9,
    weight_decay=5e-4,
)
"""The only stage of the training."""


def training_hash(network: str) -> str:
    """Return a hash of the network's name and of the settings of its training. The weight file contains it.

    It does not contain the layers of the network and the code of the training: a change of them needs no new file.
    """
    return hash_value([network, birds.settings_hash(BIRDS), PIPELINE, STAGE.model_dump(mode="json")])


def train_small_network(
    network: str, path: Path, progress: Callable[[str, float], object] = lambda what, share: None
) -> None:
    """Train a small network and write its weight file.

    The weights differ between processors in the last digits, because sums are rounded in another order.

    Args:
        network: `tiny_d` or `tiny_m`.
        path: the safetensors file to write.
        progress: called with (name of the current step, finished share).

    Raises:
        FgbenchError: the file or a temporary file cannot be written.
    """
    make_folder(path.parent)
    pipeline = Pipeline.parse(PIPELINE)
    backbone = load_backbone(network, "pool", pretrained=False)
    kind = methods["fc_cnn"]
    method = kind([backbone], Task(BIRDS.classes, pipeline.output_size), kind.Options(), generator(0, network))
    with TemporaryDirectory() as folder:
        root, work = Path(folder) / "birds", Path(folder) / "work"
        work.mkdir()
        progress("drawing synthetic birds", 0.0)
        try:
            birds.generate(root, BIRDS)
        except OSError as error:
            raise FgbenchError(
                storage_error(error, root).args[0], "set TMPDIR to a folder on a disk with enough space"
            ) from error
        index = cub.load(root, "pretraining_birds")
        index = index.select(index.train)
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
    for file in (pixels := pixel_file(index, pipeline)).parent.glob(f"{pixels.stem}.*"):
        file.unlink()  # only this training needs the decoded images
    weights = {name: value.contiguous() for name, value in backbone.state_dict().items()}
    write_bytes(path, save(weights, {"training": training_hash(network)}))

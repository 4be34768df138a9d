"""Counts of one training step of a recipe under the profile `paper`, on the simulated GPU without values.

As a program, `python -m tests.gpu` prints the counts of all recipes of CUB-200-2011.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import torch
from simulated_gpu import SimulatedGpu
from simulated_tensor import CUDA

from fgbench.backbones import build, load_backbone
from fgbench.backbones.networks import split_stream
from fgbench.datasets.bird_parts import BODY, HEAD
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import methods, options_of
from fgbench.methods.base import Method, Task
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.papers.settings import Settings, Stage
from fgbench.runs.training import loop
from fgbench.runs.training.batches import BatchSource, TrainData
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.training_log import TrainingLog
from fgbench.util.numeric.seeding import generator

CLASSES = 200
PARTS = tuple(sorted(HEAD | BODY))
STEPS = 2
"""Steps whose difference from one step is counted."""
HEADS = "| Recipe | Stage | Images | Waits | Kernels | Moved, GB | Copied, MB |\n|:--|:--|--:|--:|--:|--:|--:|"


class OneGpu(Engine):
    """The simulated GPU as the device of a training in one process."""

    def __init__(self) -> None:
        self.fabric = None
        self.rank, self.processes, self.device = 0, 1, CUDA

    def autocast(self) -> AbstractContextManager[None]:
        return nullcontext()

    def backward(self, loss, share, parameters) -> None:
        loss.backward()

    def sum(self, values):
        return values

    def wait(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class StepCounts:
    """What one training step does on a GPU."""

    recipe: str
    stage: str
    images: int
    """Number of images in the batch."""
    waits: tuple[str, ...]
    """What the host waits for, with the line of the package."""
    kernels: int
    """Operations of the forward and backward pass and of the losses, without the optimizer."""
    moved_gb: float
    """Gigabytes that these operations read and write."""
    copied_mb: float
    """Megabytes that are copied to and from the GPU."""

    @property
    def row(self) -> str:
        """The counts as a row of a table in Markdown, in the order of `HEADS`."""
        waits, moved, copied = len(self.waits), f"{self.moved_gb:.1f}", f"{self.copied_mb:.1f}"
        cells = (self.recipe, self.stage, self.images, waits, self.kernels, moved, copied)
        return f"| {' | '.join(map(str, cells))} |"


def paper_recipes() -> list[tuple[Recipe, Settings]]:
    """Return the recipes of CUB-200-2011 that train, with their settings and own stages under the profile `paper`."""
    recipes = load_recipes().values()
    pairs = [(recipe, recipe.own_settings(recipe.resolve("paper"), "paper")) for recipe in recipes]
    return [(recipe, settings) for recipe, settings in pairs if settings.data == "cub" and settings.stages]


@contextmanager
def networks_without_values() -> Iterator[None]:
    """Build networks and heads without values: those of VGG-16 and of the head of a pyramid take seconds."""

    @lru_cache
    def random(network: str, tap: str, seed: int):
        with torch.device("meta"):
            return build.build_network(network, tap)

    with (
        mock.patch.object(build, "_random", random),
        mock.patch.object(torch.nn.Linear, "reset_parameters", return_value=None),
        mock.patch.object(torch, "randn", lambda shape, **_: torch.empty(shape)),
    ):
        yield


def build_method(recipe: Recipe, settings: Settings) -> Method:
    """Return the method of a recipe, with networks that have no values."""
    with networks_without_values():
        streams = {
            stream: load_backbone(*split_stream(stream), pretrained=False)
            for stream in dict.fromkeys(settings.backbones)
        }
        side = Pipeline.parse(settings.test_pipeline).output_size
        kind = methods[recipe.method]
        task = Task(CLASSES, side, PARTS if "parts" in kind.NEEDS else ())
        options = options_of(recipe.method, settings.options)
        return kind([streams[stream] for stream in settings.backbones], task, options, generator(0, "weights"))


def train_data(settings: Settings, count: int, method: Method) -> TrainData:
    """Return images of zeros with labels and, for a method that needs them, keypoints."""
    pipeline = Pipeline.parse(settings.train_pipeline)
    side = pipeline.cached_size
    pixels = np.zeros((count, side, side, 3), np.uint8)
    if "parts" not in method.NEEDS:
        return TrainData(pixels, np.arange(count) % CLASSES, pipeline)
    points = np.full((count, len(PARTS), 3), side / 2)
    return TrainData(pixels, np.arange(count) % CLASSES, pipeline, points, PARTS)


def count_step(recipe: Recipe, settings: Settings, name: str, stage: Stage, batch: int | None = None) -> StepCounts:
    """Return the counts of a step: those of an epoch of several steps minus those of an epoch of one."""
    stage = stage.model_copy(update={"batch_size": batch or stage.batch_size})
    counts = []
    for steps in (1, 1 + STEPS):
        with SimulatedGpu(values=False) as gpu, TemporaryDirectory() as folder:
            method = build_method(recipe, settings).to("cuda")
            optimizer = loop._optimizer(method, stage)
            data = train_data(settings, steps * stage.batch_size, method)
            source = BatchSource(method, data, stage, 0, name, OneGpu(), Path(folder) / "features.npy")
            gpu.clear()
            with uncounted(gpu, optimizer):
                loop._train_epoch(method, stage, optimizer, source.batches(1), OneGpu(), TrainingLog({}))
        counts.append((gpu.waits, sum(gpu.kernels.values()), gpu.bytes_moved, gpu.copied))
    (waits, *first), (all_waits, *last) = counts
    places = Counter(all_waits) - Counter(waits)
    kernels, moved, copied = ((after - before) / STEPS for before, after in zip(first, last, strict=True))
    return StepCounts(
        recipe=recipe.key,
        stage=name,
        images=stage.batch_size,
        waits=tuple(place for place, count in places.items() for _ in range(-(-count // STEPS))),
        kernels=round(kernels),
        moved_gb=moved / 1e9,
        copied_mb=copied / 1e6,
    )


@contextmanager
def uncounted(gpu: SimulatedGpu, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Leave the kernels and bytes of an optimizer out: on a GPU it changes many parameters with one kernel."""
    before = {}

    def start(*_: object) -> None:
        before.update(kernels=gpu.kernels.copy(), moved=gpu.bytes_moved)

    def end(*_: object) -> None:
        gpu.kernels, gpu.bytes_moved = before["kernels"], before["moved"]

    hooks = optimizer.register_step_pre_hook(start), optimizer.register_step_post_hook(end)
    yield
    for hook in hooks:
        hook.remove()

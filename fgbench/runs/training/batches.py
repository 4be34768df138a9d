"""Batches of a training stage: order and augmentation follow from the seed; processes share each batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgbench.datasets.augment import augment, mirror_order
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import Pixels
from fgbench.methods.base import Method, Target
from fgbench.papers.settings import Stage
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.head_features import HeadFeatures, note_storage
from fgbench.runs.training.mirrored_once import MirroredOnce
from fgbench.runs.training.row_reader import array_to_device, on_gpu_if_it_fits, read_rows
from fgbench.util.numeric.seeding import generator


@dataclass(frozen=True, slots=True)
class TrainData:
    """Training images with their annotations; nothing of the test split."""

    pixels: Pixels
    """(N, H, W, 3) uint8, after the deterministic steps of `pipeline`."""
    labels: np.ndarray
    """(N,) int64."""
    pipeline: Pipeline
    """The pipeline of training. Its random steps are applied to each batch if the stage augments."""
    keypoints: np.ndarray | None = None
    """(N, P, 3): x, y in pixels of `pixels` and visibility; None if the protocol withholds them."""
    part_names: tuple[str, ...] = ()
    """Names of the P keypoints."""


@dataclass(frozen=True, slots=True)
class Part:
    """Numbers of the images of a batch that this process computes."""

    rows: np.ndarray
    """(B,) int64, in the training data."""
    positions: Tensor
    """(B,) int64, in the whole batch."""
    share: float
    """Weight of the mean loss of these images in that of the whole batch."""
    whole: int
    """Number of images in the whole batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The part of a batch that this process computes."""

    images: Tensor | None
    """(B, 3, H, W) uint8; None if `features` are used instead."""
    features: Tensor | None
    """Features of the trunk for the images, if the trunk does not change in the stage."""
    target: Target
    """Labels and keypoints of the images."""
    share: float
    """Weight of the mean loss of these images in that of the whole batch."""
    whole: int
    """Number of images in the whole batch."""


def middle(data: TrainData) -> TrainData:
    """Return the images without the margin for the random steps."""
    margin = (data.pixels.shape[1] - data.pipeline.output_size) // 2
    if not margin:
        return data
    inner = slice(margin, margin + data.pipeline.output_size)
    points = None if data.keypoints is None else data.keypoints - np.array([margin, margin, 0])
    return replace(data, pixels=data.pixels[:, inner, inner], keypoints=points)


class BatchSource:
    """The batches of a stage.

    If a stage trains only the head and does not augment, the features of the trunk are computed once. On a GPU the host
    does not wait for a step: images or features are in the memory of the GPU, or a thread reads them ahead.

    Args:
        method: the method in training.
        data: the training images.
        stage: the stage.
        seed: seed of the run.
        name: name of the stage.
        engine: device and processes.
        path: file for the features of the trunk.
    """

    def __init__(
        self, method: Method, data: TrainData, stage: Stage, seed: int, name: str, engine: Engine, path: Path
    ) -> None:
        self.data, self.stage, self.engine = data if stage.augment else middle(data), stage, engine
        if stage.flip_once:
            once = MirroredOnce(self.data.pixels, generator(seed, "flip once", name))
            self.data = replace(self.data, pixels=once)
        self.seed, self.name, self.path = seed, name, path
        device, points = engine.device, self.data.keypoints
        self.labels = array_to_device(data.labels, device)
        self.points = None if points is None else array_to_device(points.astype(np.float32), device)
        self.order = array_to_device(mirror_order(data.part_names).numpy(), device) if data.part_names else None
        self.features: HeadFeatures | None = None
        if set(stage.train) <= set(method.HEAD) and not stage.augment:
            method.eval()
            size = min(stage.batch_size, 16 if self.data.pixels.shape[1] > 128 else 128)
            self.features = HeadFeatures(method.trunk, self.data.pixels, stage.epochs, size, engine, path)
            with engine.together():
                if engine.rank == 0 and device.type != "cpu":
                    note_storage(path.parent, name, self.features.storage)
        else:
            self.images = on_gpu_if_it_fits(self.data.pixels, device)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch; they depend only on seed, stage and epoch."""
        draw = generator(self.seed, "order", self.name, epoch)
        augmenting = generator(self.seed, "augment", self.name, epoch)
        order, size = torch.randperm(len(self.labels), generator=draw).numpy(), self.stage.batch_size
        parts = [self._part(np.sort(order[start : start + size])) for start in range(0, len(order), size)]
        plan = [part.rows for part in parts]
        numbers = torch.split(array_to_device(np.concatenate(plan), self.engine.device), [len(rows) for rows in plan])
        read = self.features.read if self.features else self._read_images
        for part, rows, values in zip(parts, numbers, read(plan, numbers), strict=True):
            labels = self.labels.index_select(0, rows)
            points = None if self.points is None else self.points.index_select(0, rows)
            if self.features:
                yield Batch(None, values, Target(labels, points), part.share, part.whole)
                continue
            images = values
            if self.stage.augment:
                images, points = augment(
                    self.data.pipeline, images, augmenting, points, self.order, rows=part.positions, batch=part.whole
                )
            yield Batch(images, None, Target(labels, points), part.share, part.whole)

    def _part(self, rows: np.ndarray) -> Part:
        positions, share = self.engine.share(len(rows))
        return Part(rows[positions.numpy()], positions, share, len(rows))

    def _read_images(self, plan: Sequence[np.ndarray], numbers: Sequence[Tensor]) -> Iterator[Tensor]:
        for images in read_rows(self.images, plan, numbers, self.engine.device):
            yield images.permute(0, 3, 1, 2)

    def drop(self) -> None:
        """Delete the features: the next stage may change the trunk."""
        if self.features:
            self.features.drop()

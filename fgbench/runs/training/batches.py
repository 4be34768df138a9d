"""Batches of a training stage: order and augmentation follow from the seed; processes share each batch."""

from collections.abc import Iterator
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
from fgbench.runs.row_files import map_images, to_images
from fgbench.runs.training.distributed import Engine
from fgbench.util.memory import unmap_pages
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
class Batch:
    """The part of a batch that this process computes."""

    images: Tensor | None
    """(B, 3, H, W) uint8; None if `features` are used instead."""
    features: Tensor | None
    """Features of the trunk for the images, if the trunk does not change in the stage."""
    target: Target
    """Labels and keypoints of the images."""
    share: float
    """Share of the images of the whole batch that this process computes."""
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

    If a stage trains only the head and does not augment, the features of the trunk are computed once.

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
        self.seed, self.name, self.path = seed, name, path
        self.order = mirror_order(data.part_names) if data.part_names else None
        self.features: np.ndarray | None = None
        if set(stage.train) <= set(method.HEAD) and not stage.augment:
            self.features = self._features(method)

    def _features(self, method: Method) -> np.ndarray:
        """Return the features (N, ...) of the trunk. The first process computes them; all processes memory-map them."""
        if self.engine.rank == 0:
            method.eval()
            map_images(
                self.path, self.data.pixels, method.trunk, batch_size=self._batch_size(), device=self.engine.device
            )
        self.engine.wait()
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]

    def _batch_size(self) -> int:
        return min(self.stage.batch_size, 16 if self.data.pixels.shape[1] > 128 else 128)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch; they depend only on seed, stage and epoch."""
        draw = generator(self.seed, "order", self.name, epoch)
        augmenting = generator(self.seed, "augment", self.name, epoch)
        order = torch.randperm(len(self.data.labels), generator=draw).numpy()
        for start in range(0, len(order), self.stage.batch_size):
            rows = np.sort(order[start : start + self.stage.batch_size])
            yield self._batch(rows, augmenting)

    def _batch(self, rows: np.ndarray, draw: torch.Generator) -> Batch:
        whole, positions = len(rows), self.engine.positions(len(rows))
        share = len(positions) / whole
        if not share:
            positions = torch.zeros(1, dtype=torch.int64)  # fewer images than processes: an image with weight 0
        rows = rows[positions.numpy()]
        device, data = self.engine.device, self.data
        labels = torch.from_numpy(data.labels[rows]).to(device)
        points = None if data.keypoints is None else torch.from_numpy(data.keypoints[rows]).float().to(device)
        if self.features is not None:
            features = torch.from_numpy(np.array(self.features[rows])).to(device)
            unmap_pages(self.features)
            return Batch(None, features, Target(labels, points), share, whole)
        images = to_images(data.pixels, rows, device)
        if self.stage.augment:
            images, points = augment(data.pipeline, images, draw, points, self.order, rows=positions, batch=whole)
        return Batch(images, None, Target(labels, points), share, whole)

    def drop(self) -> None:
        """Delete the features: the next stage may change the trunk."""
        if self.features is not None and self.engine.rank == 0:
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".json").unlink(missing_ok=True)

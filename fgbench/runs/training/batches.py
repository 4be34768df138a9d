"""Batches for a stage of training: ordered, augmented and shared out among processes from the run's seed."""

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
from fgbench.papers.recipes import Stage
from fgbench.runs.row_files import map_images, to_images
from fgbench.runs.training.distributed import Engine
from fgbench.util.memory import unmap_pages
from fgbench.util.numeric.seeding import generator


@dataclass(frozen=True, slots=True)
class TrainData:
    """Training images and what is known of them; nothing of the test split."""

    pixels: Pixels
    """(N, H, W, 3) uint8, after the deterministic steps of `pipeline`."""
    labels: np.ndarray
    """(N,) int64."""
    pipeline: Pipeline
    """Its random steps are applied to each batch when the stage augments."""
    keypoints: np.ndarray | None = None
    """(N, P, 3): x, y in pixels of `pixels` and visibility; None where the protocol withholds them."""
    part_names: tuple[str, ...] = ()
    """Names of the P keypoints."""


@dataclass(frozen=True, slots=True)
class Batch:
    """This process's part of a batch."""

    images: Tensor | None
    """(B, 3, H, W) uint8; None when `features` stand for them."""
    features: Tensor | None
    """What the method's trunk gives for the images, when it stays the same throughout the stage."""
    target: Target
    """What the images are."""
    share: float
    """Part of the whole batch."""
    whole: int
    """Images in the whole batch."""


def middle(data: TrainData) -> TrainData:
    """The images without the margin that the random steps would have used."""
    margin = (data.pixels.shape[1] - data.pipeline.output_size) // 2
    if not margin:
        return data
    inner = slice(margin, margin + data.pipeline.output_size)
    points = None if data.keypoints is None else data.keypoints - np.array([margin, margin, 0])
    return replace(data, pixels=data.pixels[:, inner, inner], keypoints=points)


class Source:
    """The batches of a stage.

    When only parts of the head are trained, on images that are not augmented, the trunk's features are computed once.
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
        """Computed by the first process, and mapped by all."""
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
        """The batches of an epoch, which depend on seed, stage and epoch alone."""
        draw = generator(self.seed, "order", self.name, epoch)
        augmenting = generator(self.seed, "augment", self.name, epoch)
        order = torch.randperm(len(self.data.labels), generator=draw).numpy()
        for start in range(0, len(order), self.stage.batch_size):
            rows = np.sort(order[start : start + self.stage.batch_size])
            yield self._batch(rows, augmenting)

    def _batch(self, rows: np.ndarray, draw: torch.Generator) -> Batch:
        whole, own = len(rows), self.engine.own(len(rows))
        share = len(own) / whole
        if not share:
            own = torch.zeros(1, dtype=torch.int64)  # fewer images than processes: one that counts for nothing
        rows = rows[own.numpy()]
        device, data = self.engine.device, self.data
        labels = torch.from_numpy(data.labels[rows]).to(device)
        points = None if data.keypoints is None else torch.from_numpy(data.keypoints[rows]).float().to(device)
        if self.features is not None:
            features = torch.from_numpy(np.array(self.features[rows])).to(device)
            unmap_pages(self.features)
            return Batch(None, features, Target(labels, points), share, whole)
        images = to_images(data.pixels, rows, device)
        if self.stage.augment:
            images, points = augment(data.pipeline, images, draw, points, self.order, rows=own, batch=whole)
        return Batch(images, None, Target(labels, points), share, whole)

    def drop(self) -> None:
        """Remove the features: the next stage may change what gives them."""
        if self.features is not None and self.engine.rank == 0:
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".json").unlink(missing_ok=True)

"""Stages of training from a recipe, with a checkpoint after each epoch; an interrupted stage goes on from the last."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fgbench.descriptors import embed_all, to_images
from fgbench.errors import FgbenchError
from fgbench.files import write_atomic
from fgbench.methods.base import Method, Outputs
from fgbench.pipeline import Pipeline
from fgbench.randomness import generator
from fgbench.recipes import Stage

SAVING_SHARE = 0.2
"""Checkpoints may take this share of the time; they are put off when epochs are shorter than that allows."""


@dataclass(frozen=True, slots=True)
class TrainData:
    """Training images and labels; nothing of the test split."""

    pixels: np.ndarray
    """(N, H, W, 3) uint8, after the deterministic steps of `pipeline`."""
    labels: np.ndarray
    """(N,) int64."""
    pipeline: Pipeline
    """Its random steps are applied to each batch when the stage augments."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One point of a learning curve, measured on the training images as they were seen."""

    stage: str
    epoch: int
    loss: float
    """Mean over the images of the sum of the losses."""
    accuracy: float
    """Share of training images classified right while training, in percent."""
    wall_s: float


def train(
    method: Method,
    data: TrainData,
    stages: list[tuple[str, Stage]],
    *,
    seed: int,
    device: torch.device,
    work: Path,
    progress: Callable[[str, int, int], object] = lambda stage, done, total: None,
) -> list[Epoch]:
    """Train `method` in place through the stages.

    Args:
        method: already on `device`.
        data: what to train on.
        stages: names and stages in order.
        seed: decides order and augmentation of every epoch, each independent of the others.
        device: where to compute.
        work: folder for checkpoints; when it holds some of the same run, training goes on from there.
        progress: called with (stage, epochs done, epochs in all) after each epoch.

    Returns:
        The learning curve.

    Raises:
        FgbenchError: the loss is not finite; names stage and epoch.
    """
    checkpoint = work / "checkpoint.pt"
    state: dict[str, Any] = {"stage": 0, "epoch": 0, "curve": []}
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        method.load_state_dict(state["method"])
    curve = [Epoch(**point) for point in state["curve"]]
    for number, (name, stage) in enumerate(stages):
        if number < state["stage"]:
            continue
        resumed = state if number == state["stage"] and state["epoch"] else None
        _train_stage(method, data, (number, name, stage), seed, device, work, progress, curve, resumed)
    return curve


def _train_stage(
    method: Method,
    data: TrainData,
    numbered: tuple[int, str, Stage],
    seed: int,
    device: torch.device,
    work: Path,
    progress: Callable[[str, int, int], object],
    curve: list[Epoch],
    resumed: dict[str, Any] | None,
) -> None:
    number, name, stage = numbered
    optimizer = _optimizer(method, stage)
    first = 1
    if resumed:
        optimizer.load_state_dict(resumed["optimizer"])
        first = resumed["epoch"] + 1
    source = _Source(method, data, stage, seed, name, device, work / f"embeddings-{number}.npy")
    saved_at, cost = time.monotonic(), 0.0
    for epoch in range(first, stage.epochs + 1):
        started = time.monotonic()
        _set_rate(optimizer, stage, epoch)
        # Dropout draws from the global generator: the same numbers in an epoch however it is reached.
        torch.manual_seed(generator(seed, "layers", name, epoch).initial_seed())
        loss, accuracy = _train_epoch(method, optimizer, source.batches(epoch))
        if not np.isfinite(loss):
            raise FgbenchError(
                f"the loss of stage {name!r} is {loss} in epoch {epoch}", "lower the learning rate of the stage"
            )
        curve.append(Epoch(name, epoch, loss, accuracy, time.monotonic() - started))
        progress(name, epoch, stage.epochs)
        last = epoch == stage.epochs
        if last or time.monotonic() - saved_at >= cost / SAVING_SHARE:
            started = time.monotonic()
            _save(work / "checkpoint.pt", method, optimizer, (number, epoch, last), curve)
            saved_at, cost = time.monotonic(), time.monotonic() - started


def _train_epoch(
    method: Method, optimizer: torch.optim.Optimizer, batches: Iterator[tuple[Outputs, Tensor]]
) -> tuple[float, float]:
    """One pass; returns the mean loss and the share classified right in percent."""
    loss_sum, hits, count = 0.0, 0, 0
    for outputs, target in batches:
        loss = torch.stack(list(method.losses(outputs, target).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss_sum += loss.item() * len(target)
        hits += int((outputs.logits.argmax(1) == target).sum())
        count += len(target)
    return loss_sum / count, 100 * hits / count


class _Source:
    """Batches of outputs and targets for a stage.

    When only the classifier is trained, on images that are not augmented, every embedding is computed once.
    """

    def __init__(
        self, method: Method, data: TrainData, stage: Stage, seed: int, name: str, device: torch.device, path: Path
    ) -> None:
        self.method, self.data, self.stage, self.device = method, data, stage, device
        self.seed, self.name = seed, name
        self.labels = torch.from_numpy(data.labels).to(device)
        self.embeddings: np.ndarray | None = None
        if stage.train == ("classifier",) and not stage.augment and method.classifies_embedding:
            self.embeddings = embed_all(path, method, data.pixels, batch_size=stage.batch_size, device=device)

    def batches(self, epoch: int) -> Iterator[tuple[Outputs, Tensor]]:
        self.method.train("backbone" in self.stage.train)
        draw = generator(self.seed, "order", self.name, epoch)
        augment = generator(self.seed, "augment", self.name, epoch)
        order = torch.randperm(len(self.data.labels), generator=draw).numpy()
        for start in range(0, len(order), self.stage.batch_size):
            rows = np.sort(order[start : start + self.stage.batch_size])
            target = self.labels[torch.from_numpy(rows).to(self.device)]
            if self.embeddings is not None:
                embedding = torch.from_numpy(self.embeddings[rows]).to(self.device)
                yield Outputs(self.method.classifier(embedding), embedding), target
                continue
            images = to_images(self.data.pixels[rows], self.device)
            yield self.method(self.data.pipeline.augment(images, augment) if self.stage.augment else images), target


def _optimizer(method: Method, stage: Stage) -> torch.optim.SGD:
    groups = []
    for name, parameters in method.groups().items():
        for parameter in parameters:
            parameter.requires_grad_(name in stage.train)
        if name in stage.train and parameters:
            head = name == "classifier"
            groups.append(
                {
                    "params": parameters,
                    "scale": stage.classifier_lr_scale if head else 1.0,
                    "weight_decay": stage.weight_decay * (stage.classifier_decay_scale if head else 1.0),
                }
            )
    return torch.optim.SGD(groups, lr=stage.lr, momentum=stage.momentum)


def _set_rate(optimizer: torch.optim.Optimizer, stage: Stage, epoch: int) -> None:
    drops = sum(epoch >= drop for drop in stage.lr_drops)
    for group in optimizer.param_groups:
        group["lr"] = stage.lr * group["scale"] * 0.1**drops


def _save(
    path: Path,
    method: Method,
    optimizer: torch.optim.Optimizer,
    position: tuple[int, int, bool],
    curve: list[Epoch],
) -> None:
    number, epoch, last = position
    state = {
        "stage": number + last,
        "epoch": 0 if last else epoch,
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curve": [asdict(point) for point in curve],
    }
    write_atomic(path, lambda temporary: torch.save(state, temporary))

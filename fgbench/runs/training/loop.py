"""Training through the stages of a recipe. An interrupted training continues from its last checkpoint."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fgbench.methods.base import Method, parameters_of
from fgbench.papers.settings import Stage
from fgbench.runs.training.batches import Batch, BatchSource, TrainData
from fgbench.runs.training.checkpoint import CheckpointWriter
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.training_log import TrainingLog
from fgbench.util.damaged import set_aside
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.numeric.seeding import generator
from fgbench.util.torch_files import load_torch, same_form

SAVING_SHARE = 0.2
"""Maximum share of the time that is spent on checkpoints. Short epochs therefore do not all write one."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One point of a learning curve, measured on the training images as the network saw them."""

    stage: str
    """Name of the stage."""
    epoch: int
    """Number of the epoch in its stage, from 1."""
    loss: float
    """Sum of the losses, mean over the images."""
    accuracy: float
    """Correctly classified training images, in percent."""
    wall_s: float
    """Seconds of the epoch."""


def train(
    method: Method,
    data: TrainData,
    stages: list[tuple[str, Stage]],
    *,
    seed: int,
    engine: Engine,
    work: Path,
    progress: Callable[[str, int, int], object] = lambda stage, done, total: None,
    after_epoch: Callable[[str, Stage, int], object] = lambda name, stage, epoch: None,
    is_kept: Callable[[str, Stage, int], bool] = lambda name, stage, epoch: True,
    log: TrainingLog | None = None,
) -> list[Epoch]:
    """Train `method` in place through the stages.

    Args:
        method: already on the engine's device.
        data: the training images.
        stages: names and stages in order.
        seed: determines order and augmentation of every epoch, independently of the other epochs.
        engine: device, precision and processes.
        work: folder for checkpoints; training continues from a checkpoint of the same run. A damaged one is set aside.
        progress: called with (stage, finished epochs, all epochs) after each epoch.
        after_epoch: called with (name, stage, finished epochs) before `progress`; it must not change the method.
        is_kept: called with (name, stage, epoch) for each epoch of a checkpoint; returns False if a file that
            `after_epoch` wrote is lost. The training then starts again.
        log: receives the values of steps and epochs of this process.

    Returns:
        The learning curve.

    Raises:
        FgbenchError: the loss is not finite, a stage names a loss that the method does not have, a batch has fewer
            images than there are processes, or the disk is full.
    """
    with engine.together():
        for name, stage in stages:
            engine.check_batch(name, stage.batch_size)
        state = _checkpoint(work / "checkpoint.pt", method, dict(stages), engine, is_kept)
        if state is None:
            state = {"stage": 0, "epoch": 0, "curve": []}
            if engine.rank == 0 and stages:
                # On a GPU, training again gives another network: nothing computed with the lost one is used.
                remove_files(work, "features-[1-9]*", "fitted.pt", "descriptors.*", "test-*")
        else:
            method.load_state_dict(state["method"])
    curve = [Epoch(**point) for point in state["curve"]]
    with CheckpointWriter(work / "checkpoint.pt") as checkpoints:
        for number, (name, stage) in enumerate(stages):
            if number < state["stage"]:
                continue
            resumed = state if number == state["stage"] and state["epoch"] else None
            numbered = number, name, stage
            _train_stage(
                *(method, data, numbered, seed, engine, work, progress, after_epoch, curve, resumed, checkpoints),
                log or TrainingLog({}),
            )
    return curve


def _checkpoint(
    path: Path, method: Method, stages: dict[str, Stage], engine: Engine, is_kept: Callable[[str, Stage, int], bool]
) -> dict[str, Any] | None:
    """Return the state in a checkpoint; None if the training starts from its beginning."""
    state = load_torch(path, torch.device("cpu"))  # the copy would else stay in the memory of the GPU
    if state is None:
        return None
    if not same_form(state["method"], method.state_dict()):
        set_aside(path, "it is the state of another network")
        return None
    for point in state["curve"]:
        if not is_kept(point["stage"], stages[point["stage"]], point["epoch"]):
            set_aside(path, f"the predictions after epoch {point['epoch']} of stage {point['stage']!r} are lost")
            return None
    return state


def remove_files(folder: Path, *patterns: str) -> None:
    """Remove the files in a folder whose names match one of the patterns."""
    for pattern in patterns:
        for path in folder.glob(pattern):
            if path.is_file():
                path.unlink(missing_ok=True)


def _train_stage(
    method: Method,
    data: TrainData,
    numbered: tuple[int, str, Stage],
    seed: int,
    engine: Engine,
    work: Path,
    progress: Callable[[str, int, int], object],
    after_epoch: Callable[[str, Stage, int], object],
    curve: list[Epoch],
    resumed: dict[str, Any] | None,
    checkpoints: CheckpointWriter,
    log: TrainingLog,
) -> None:
    # Restore the optimizer of an interrupted stage.
    number, name, stage = numbered
    optimizer = _optimizer(method, stage)
    first = 1
    if resumed:
        optimizer.load_state_dict(resumed["optimizer"])
        for values in optimizer.state.values():
            if "step" in values:
                values["step"] = values["step"].cpu()  # as in a new Adam; on a GPU, each step would wait for it
        first = resumed["epoch"] + 1
    try:
        source = BatchSource(method, data, stage, seed, name, engine, work / f"features-{number}.npy")
    except torch.OutOfMemoryError as error:
        raise _memory_error(name, stage, data, engine) from error
    for epoch in range(first, stage.epochs + 1):
        started = time.monotonic()
        rate = _set_rate(optimizer, stage, epoch)
        log.begin(name, stage, epoch)
        # Dropout uses the global generator: its numbers must not depend on an interruption.
        torch.manual_seed(generator(seed, "layers", name, epoch, engine.rank).initial_seed())
        # Train one epoch and extend the learning curve.
        try:
            loss, accuracy = _train_epoch(method, stage, optimizer, source.batches(epoch), engine, log)
        except torch.OutOfMemoryError as error:
            raise _memory_error(name, stage, data, engine) from error
        with engine.together():
            if not np.isfinite(loss):
                raise FgbenchError(
                    f"the loss of stage {name!r} is {loss} in epoch {epoch}", "lower the learning rate of the stage"
                )
            curve.append(Epoch(name, epoch, loss, accuracy, time.monotonic() - started))
            log.end(epoch, loss, accuracy, rate, curve[-1].wall_s, engine.device)
            after_epoch(name, stage, epoch)
            progress(name, epoch, stage.epochs)
            # The first process writes a checkpoint beside the next epoch, unless the last one is too recent.
            last = epoch == stage.epochs
            if engine.rank == 0 and (last or checkpoints.is_due(SAVING_SHARE)):
                checkpoints.write(_state(method, optimizer, (number, epoch, last), curve))
            if last:
                checkpoints.wait()
    source.drop()


def _memory_error(name: str, stage: Stage, data: TrainData, engine: Engine) -> FgbenchError:
    """Return the error to raise if the memory of a GPU is not enough for a step."""
    side, images = data.pipeline.output_size, -(-stage.batch_size // engine.processes)
    return FgbenchError(
        f"the memory of the GPU is not enough for stage {name!r} with {images} images of {side} px in a batch",
        "lower batch_size of the stage in the recipe, or use a smaller --size, --precision bf16-mixed or fewer --jobs",
    )


def _train_epoch(
    method: Method,
    stage: Stage,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Batch],
    engine: Engine,
    log: TrainingLog,
) -> tuple[float, float]:
    """Train one epoch; return the mean loss and the accuracy in percent."""
    method.eval()
    for group in stage.train:
        for module in method.modules_of(group):
            module.train()
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    sums = torch.zeros(3, dtype=torch.float64, device=engine.device)
    for batch in batches:
        with engine.autocast():
            target = batch.target
            outputs = method(batch.images, target) if batch.features is None else method.head(batch.features, target)
            loss = _minimised(method.losses(outputs, target), stage)
        optimizer.zero_grad(set_to_none=True)
        engine.backward(loss, batch.share, trained)
        optimizer.step()
        right = (outputs.logits.argmax(1) == target.labels).double().mean()
        log.step(loss, right, len(target.labels))
        sums += batch.share * batch.whole * torch.stack([loss.detach().double(), right, torch.ones_like(right)])
    engine.share_buffers(method)
    loss_sum, hits, images = engine.sum(sums).tolist()
    return loss_sum / images, 100 * hits / images


def _minimised(losses: dict[str, Tensor], stage: Stage) -> Tensor:
    """Return the sum of the losses that a stage names, or of all losses if it names none."""
    chosen = stage.losses or tuple(losses)
    if unknown := [name for name in chosen if name not in losses]:
        raise FgbenchError(f"no loss {unknown[0]!r}; {nearest(unknown[0], losses)}", "correct losses in the stage")
    return torch.stack([losses[name] for name in chosen]).sum()


def _optimizer(method: Method, stage: Stage) -> torch.optim.Optimizer:
    method.requires_grad_(False)
    groups = []
    for name in stage.train:
        # Streams may share a network: its parameters belong to the first group that the stage names.
        parameters = [p for p in parameters_of(method, name) if not p.requires_grad]
        for some, scale, decay in _with_factors(stage, name, parameters):
            groups.append({"params": some, "scale": scale, "weight_decay": stage.weight_decay * decay})
        for parameter in parameters:
            parameter.requires_grad_()
    if stage.optimizer == "adam":
        return torch.optim.Adam(groups, lr=stage.lr, betas=(stage.momentum, 0.999))
    return torch.optim.SGD(groups, lr=stage.lr, momentum=stage.momentum)


def _with_factors(
    stage: Stage, group: str, parameters: list[nn.Parameter]
) -> list[tuple[list[nn.Parameter], float, float]]:
    """Return the parameters of a group with their factors on learning rate and weight decay, biases apart."""
    if group != "classifier":
        return [(parameters, stage.lr_scales.get(group, 1.0), 1.0)] if parameters else []
    scale, decay = stage.classifier_lr_scale, stage.classifier_decay_scale
    bias_scale, bias_decay = stage.classifier_bias_lr_scale, stage.classifier_bias_decay_scale
    parts = [
        ([p for p in parameters if p.ndim > 1], scale, decay),
        (
            [p for p in parameters if p.ndim <= 1],
            scale if bias_scale is None else bias_scale,
            decay if bias_decay is None else bias_decay,
        ),
    ]
    return [part for part in parts if part[0]]


def _set_rate(optimizer: torch.optim.Optimizer, stage: Stage, epoch: int) -> float:
    """Set the learning rates of an epoch, and return that of the stage, which groups of parameters scale."""
    drops = sum(epoch >= drop for drop in stage.lr_drops)
    for group in optimizer.param_groups:
        group["lr"] = stage.lr * group["scale"] * 0.1**drops
    return float(stage.lr * 0.1**drops)


def _state(
    method: Method, optimizer: torch.optim.Optimizer, position: tuple[int, int, bool], curve: list[Epoch]
) -> dict[str, Any]:
    """Return the state from which a training continues after an epoch."""
    number, epoch, last = position
    return {
        "stage": number + last,
        "epoch": 0 if last else epoch,
        "method": method.state_dict(keep_vars=True),  # a parameter of two streams is one tensor
        "optimizer": optimizer.state_dict(),
        "curve": [asdict(point) for point in curve],
    }

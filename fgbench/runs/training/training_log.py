"""Values of a training for loggers: of every n-th step, and of each epoch. The log of the run has a line an epoch."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from fgbench.papers.settings import Stage
from fgbench.util.device_memory import device_peak_mib
from fgbench.util.errors import FgbenchError
from fgbench.util.memory import peak_mib

if TYPE_CHECKING:
    from lightning_fabric.loggers.logger import Logger

Point = tuple[int, Tensor, Tensor, float]
"""Number of a step, its loss, its share of right labels, and the images a second since the last point."""


class TrainingLog:
    """Gives the values of a training to loggers; use it in a `with` block, which closes them.

    Steps are numbered through all stages, from 1, and a continued training continues the numbers. Names begin with the
    stage, such as `finetune/loss`. On a GPU, the values of steps are given at the end of the epoch, so that no step
    waits for them.

    Args:
        loggers: name -> logger.
        every: number of steps between two points.
        stages: names and stages in order.
        images: number of training images.
        say: called with a line of text after each epoch.
    """

    def __init__(
        self,
        loggers: Mapping[str, "Logger"],
        every: int = 50,
        stages: Sequence[tuple[str, Stage]] = (),
        images: int = 0,
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._loggers, self._every, self._images, self._say = loggers, every, images, say
        self._points = list[Point]()
        self._begins, steps = dict[str, int](), 0
        """Name of a stage -> number of steps before it."""
        for name, stage in stages:
            self._begins[name] = steps
            steps += stage.epochs * self._steps(stage)

    def begin(self, name: str, stage: Stage, epoch: int) -> None:
        """Begin an epoch of a stage; epochs are numbered from 1."""
        self._name = name
        if self._loggers:
            self._step = self._begins[name] + (epoch - 1) * self._steps(stage)
            self._started, self._seen = time.monotonic(), 0

    def step(self, loss: Tensor, right: Tensor, images: int) -> None:
        """Note a step.

        Args:
            loss: scalar.
            right: share of right labels, scalar.
            images: number of images of the step in this process.
        """
        if not self._loggers:
            return
        self._step, self._seen = self._step + 1, self._seen + images
        if self._step % self._every == 0:
            now = time.monotonic()
            self._points.append(
                (self._step, loss.detach(), right.detach(), self._seen / max(now - self._started, 1e-9))
            )
            self._started, self._seen = now, 0
            if loss.device.type == "cpu":
                self._give_points()

    def end(self, epoch: int, loss: float, accuracy: float, rate: float, wall_s: float, device: torch.device) -> None:
        """Note the end of an epoch.

        Args:
            epoch: its number in the stage.
            loss: mean over the images.
            accuracy: in percent.
            rate: learning rate of the stage.
            wall_s: time in seconds.
            device: device of the training.

        Raises:
            FgbenchError: a logger failed.
        """
        self._say(f"stage {self._name}, epoch {epoch}: loss {loss:.4g}, accuracy {accuracy:.2f} %, {wall_s:.1f} s")
        if not self._loggers:
            return
        self._give_points()
        memory = device_peak_mib(device)
        values = {
            "epoch": epoch,
            "epoch_loss": loss,
            "epoch_accuracy": accuracy,
            "learning_rate": rate,
            "images_per_s": self._images / max(wall_s, 1e-9),
            "memory_mib": peak_mib() if memory is None else memory,
        }
        self._give(values, self._step, save=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the loggers; an error of the training is raised rather than one of a logger."""
        for name, logger in self._loggers.items():
            try:
                logger.finalize("success" if kind is None else "failed")
            except Exception as failure:
                if kind is None:
                    raise _failed(name, failure) from failure

    def _steps(self, stage: Stage) -> int:
        return -(-self._images // stage.batch_size)

    def _give_points(self) -> None:
        points, self._points = self._points, []
        if not points:
            return
        losses = torch.stack([point[1] for point in points]).tolist()
        rights = torch.stack([point[2] for point in points]).tolist()
        for (step, _, _, speed), loss, right in zip(points, losses, rights, strict=True):
            self._give({"loss": loss, "accuracy": 100 * right, "images_per_s": speed}, step)

    def _give(self, values: Mapping[str, float], step: int, *, save: bool = False) -> None:
        named = {f"{self._name}/{name}": value for name, value in values.items()}
        for name, logger in self._loggers.items():
            try:
                logger.log_metrics(named, step)
                if save:
                    logger.save()
            except Exception as error:
                raise _failed(name, error) from error


def _failed(name: str, error: Exception) -> FgbenchError:
    """Return the error to raise if a logger fails; the training can be continued without it."""
    message = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return FgbenchError(f"the logger {name!r} failed: {message}", f"the command without --log {name} continues the run")

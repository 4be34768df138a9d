"""Predictions for the test images after epochs (`--watch-test`), recorded beside the result and not used.

Some published codes report the epoch that is best on the test labels. The record then shows the effect of that choice.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fgbench.datasets.pixel_cache import Pixels
from fgbench.methods.base import Method
from fgbench.papers.settings import Stage
from fgbench.runs.row_files import batches
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import Epoch
from fgbench.util.checked_rows import CheckedRows, are_complete
from fgbench.util.damaged import is_present, make_work_folder


class Watch:
    """Predicted classes of the test images, by the softmax layer, after epochs of the training.

    They are computed after every `every`-th and the last epoch of a stage that trains the network, and after the last
    epoch of a stage that trains only the head. A stage without the cross-entropy loss is skipped.

    Args:
        method: the method in training.
        pixels: (N, H, W, 3) uint8, the test images after the deterministic steps of the training pipeline.
        batch_size: images at a time.
        engine: device and precision.
        folder: folder of the predictions; an interrupted training continues with them.
        every: number of epochs between two predictions.
    """

    def __init__(
        self, method: Method, pixels: Pixels, batch_size: int, engine: Engine, folder: Path, every: int = 1
    ) -> None:
        self._method, self._pixels, self._batch_size = method, pixels, batch_size
        self._engine, self._folder, self._every = engine, folder, every

    def __call__(self, name: str, stage: Stage, epoch: int) -> None:
        """Predict the test images after an epoch of a stage.

        Args:
            name: name of the stage.
            stage: the stage.
            epoch: number of finished epochs of the stage.
        """
        if self._engine.rank or not self._is_watched(stage, epoch):
            return
        path = self._path(name, epoch)
        make_work_folder(self._folder)
        if is_present(path):
            path.unlink()  # left by an epoch that was interrupted before its checkpoint
        classes = self._predict()
        with CheckedRows(path, len(self._pixels)) as rows:
            rows.append(classes)

    @torch.inference_mode()
    def _predict(self) -> np.ndarray:
        """Return the predicted class (N, 1) of each image. The host waits for the device once, at the end."""
        self._method.eval()
        with self._engine.autocast():
            images = batches(self._pixels, self._batch_size, self._engine.device)
            classes = [self._method(batch).logits.argmax(1, keepdim=True) for batch in images]
        return torch.cat(classes).cpu().numpy()

    def is_kept(self, name: str, stage: Stage, epoch: int) -> bool:
        """Return False if the predictions after a finished epoch should be there, and are missing or damaged."""
        path = self._path(name, epoch)
        return not self._is_watched(stage, epoch) or are_complete(path, len(self._pixels), path.with_suffix(".json"))

    def arrays(self, curve: Sequence[Epoch]) -> dict[str, np.ndarray]:
        """Return `watched`, (N, E) int16: the predicted class of each test image after each watched epoch."""
        paths = [path for point in curve if (path := self._path(point.stage, point.epoch)).is_file()]
        return {"watched": np.concatenate([np.load(path) for path in paths], axis=1).astype(np.int16)}

    def _is_watched(self, stage: Stage, epoch: int) -> bool:
        without_classes = stage.losses and "cross_entropy" not in stage.losses
        head_only = set(stage.train) <= set(self._method.HEAD)
        is_due = epoch == stage.epochs or (not head_only and epoch % self._every == 0)
        return is_due and not without_classes

    def _path(self, name: str, epoch: int) -> Path:
        return self._folder / f"{name}-{epoch}.npy"

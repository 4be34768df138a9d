"""What a network in training says of the test images, epoch by epoch: recorded beside the result, and used for nothing.

Some codes report the best epoch by the test labels. Whoever asks for it (`--watch-test`) sees how much that is worth.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fgbench.datasets.pixel_cache import Pixels
from fgbench.methods.base import Method
from fgbench.papers.recipes import Stage
from fgbench.runs.row_files import map_images
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import Epoch


class Watch:
    """Classes that the softmax layer of a method gives the test images, after epochs of its training.

    After each epoch of a stage that trains the network; of one that trains the head alone, after the last. Not in a
    stage whose losses leave the classes out.

    Args:
        method: what is trained.
        pixels: test images (N, H, W, 3) uint8 as training sees them, but for its random steps.
        batch_size: images at a time.
        engine: where to compute.
        folder: keeps what was seen, so that an interrupted training goes on.
    """

    def __init__(self, method: Method, pixels: Pixels, batch_size: int, engine: Engine, folder: Path) -> None:
        self._method, self._pixels, self._batch_size = method, pixels, batch_size
        self._engine, self._folder = engine, folder

    def __call__(self, name: str, stage: Stage, epoch: int) -> None:
        """Look, after an epoch of a stage."""
        without_classes = stage.losses and "cross_entropy" not in stage.losses
        head_alone = set(stage.train) <= set(self._method.HEAD)
        if self._engine.rank or without_classes or (head_alone and epoch < stage.epochs):
            return
        path = self._path(name, epoch)
        path.unlink(missing_ok=True)  # of an epoch that a sitting did and lost
        self._method.eval()
        with self._engine.autocast():
            map_images(
                path,
                self._pixels,
                lambda images: self._method(images).logits.argmax(1, keepdim=True),
                batch_size=self._batch_size,
                device=self._engine.device,
            )

    def arrays(self, curve: Sequence[Epoch]) -> dict[str, np.ndarray]:
        """`watched` (N, E) int16: the class of each test image after each epoch that was looked at, in their order."""
        paths = [path for point in curve if (path := self._path(point.stage, point.epoch)).is_file()]
        return {"watched": np.concatenate([np.load(path) for path in paths], axis=1).astype(np.int16)}

    def _path(self, name: str, epoch: int) -> Path:
        return self._folder / f"{name}-{epoch}.npy"

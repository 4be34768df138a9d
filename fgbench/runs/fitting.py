"""Parts of a method that follow from training images without labels: initial weights, and vocabularies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fgbench.datasets.pixel_cache import Pixels
from fgbench.methods.base import FitContext, Method
from fgbench.runs.row_files import batches
from fgbench.runs.training.loop import remove_files
from fgbench.util.damaged import set_aside
from fgbench.util.torch_files import load_torch, same_form, save_torch

Progress = Callable[[str, int, int], object]


@dataclass(frozen=True, slots=True)
class Fitting:
    """Fits a method to the training images. Files in the work folder keep the results.

    Its functions raise an FgbenchError if the disk is full, or the folder cannot be written.
    """

    pixels: Pixels
    """(N, H, W, 3) uint8, the training images."""
    batch_size: int
    """Images at a time."""
    device: torch.device
    """Device of the computation."""
    work: Path
    """Work folder of the run."""

    def initialise(self, method: Method, draw: torch.Generator, progress: Progress) -> None:
        """Compute the initial weights that follow from the images; nothing is done if a method has none.

        Args:
            method: the method before any training.
            draw: source of the random numbers.
            progress: called with (name of the current step, finished work, all work).
        """
        if type(method).initialise is Method.initialise:
            return
        method.to(self.device)
        file = self.work / "initialised.pt"
        if _restored(method, file, self.device):
            return
        remove_files(self.work, "checkpoint.pt", "features-*")  # on a GPU, the weights differ from those of before
        context = FitContext(len(self.pixels), draw, lambda what: progress(what, 1, 1))
        with torch.no_grad():
            method.initialise(lambda: batches(self.pixels, self.batch_size, self.device), context)
        save_torch(file, {"method": method.state_dict()})

    def fit(self, method: Method, draw: torch.Generator, progress: Progress) -> None:
        """Fit the parts that need no labels of a trained method, as `initialise` does before the training."""
        file, count = self.work / "fitted.pt", len(self.pixels)
        if type(method).fit is Method.fit or _restored(method, file, self.device):
            return
        remove_files(self.work, "descriptors.*", "test-*")  # on a GPU, fitting again gives other values
        # Half of the progress is for the images, half for the fit itself.
        context = FitContext(count, draw, lambda what: progress(what, 1, 2))

        def images() -> Iterator[Tensor]:
            done = 0
            for batch in batches(self.pixels, self.batch_size, self.device):
                yield batch
                progress("local descriptors", done, 2 * count)
                done += len(batch)

        with torch.inference_mode():
            method.fit(images, context)
        save_torch(file, {"method": method.state_dict()})


def _restored(method: Method, file: Path, device: torch.device) -> bool:
    """Switch to evaluation, and return True if a file has the state of the method, which is then restored."""
    method.eval()
    if state := load_torch(file, device):
        if same_form(state["method"], method.state_dict()):
            method.load_state_dict(state["method"])
            return True
        set_aside(file, "it is the state of another network")
    return False

"""Parts of a method that follow from training images without labels: initial weights, and vocabularies."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from fgbench.datasets.pixel_cache import Pixels
from fgbench.methods.base import FitContext, Method
from fgbench.runs.row_files import batches
from fgbench.runs.training.loop import remove_files
from fgbench.util.damaged import set_aside
from fgbench.util.torch_files import load_torch, same_form, save_torch


def fit_method(
    method: Method,
    pixels: Pixels,
    *,
    batch_size: int,
    device: torch.device,
    draw: torch.Generator,
    work: Path,
    progress: Callable[[str, int, int], object],
) -> None:
    """Fit a method to the training images. A file in the work folder keeps the result.

    Args:
        method: the trained method; nothing is done if it has no such parts.
        pixels: (N, H, W, 3) uint8, the training images.
        batch_size: images at a time.
        device: device of the computation.
        draw: source of the random numbers.
        work: work folder of the run.
        progress: called with (name of the current step, finished work, all work).

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """
    if type(method).fit is Method.fit or _restored(method, work / "fitted.pt", device):
        return
    remove_files(work, "descriptors.*", "test-*")  # on a GPU, fitting again gives other values
    # Half of the progress is for the images, half for the fit itself.
    context = FitContext(len(pixels), draw, lambda what: progress(what, 1, 2))

    def images() -> Iterator[Tensor]:
        done = 0
        for batch in batches(pixels, batch_size, device):
            yield batch
            progress("local descriptors", done, 2 * len(pixels))
            done += len(batch)

    with torch.inference_mode():
        method.fit(images, context)
    save_torch(work / "fitted.pt", {"method": method.state_dict()})


def initialise_method(
    method: Method,
    pixels: Pixels,
    *,
    batch_size: int,
    device: torch.device,
    draw: torch.Generator,
    work: Path,
    progress: Callable[[str, int, int], object],
) -> None:
    """Compute the initial weights of a method that follow from the training images; arguments as in `fit_method`.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """
    if type(method).initialise is Method.initialise:
        return
    method.to(device)
    if _restored(method, work / "initialised.pt", device):
        return
    remove_files(work, "checkpoint.pt", "features-*")  # on a GPU, the weights differ from those of before
    context = FitContext(len(pixels), draw, lambda what: progress(what, 1, 1))
    with torch.no_grad():
        method.initialise(lambda: batches(pixels, batch_size, device), context)
    save_torch(work / "initialised.pt", {"method": method.state_dict()})


def _restored(method: Method, file: Path, device: torch.device) -> bool:
    """Switch to evaluation, and return True if a file has the state of the method, which is then restored."""
    method.eval()
    if state := load_torch(file, device):
        if same_form(state["method"], method.state_dict()):
            method.load_state_dict(state["method"])
            return True
        set_aside(file, "it is the state of another network")
    return False

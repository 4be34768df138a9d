"""The device that the options of the command line describe."""

import torch

from fgbench.util.errors import FgbenchError

DEVICES = ("cpu", "cuda")


def checked_device(name: str | None) -> str | None:
    """Return the name of a device that is here.

    Raises:
        FgbenchError: an unknown device, or `cuda` without a GPU.
    """
    if name is not None and name not in DEVICES:
        raise FgbenchError(f"no device named {name!r}; known: {', '.join(DEVICES)}", "--device cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise FgbenchError("torch sees no GPU", "fgbench doctor shows the machine; --device cpu runs without one")
    return name


def device_of(profile: str, *, has_gpu: bool) -> str:
    """Return the device of the runs of a profile: the GPU if there is one, except under `quick`."""
    return "cuda" if has_gpu and profile != "quick" else "cpu"

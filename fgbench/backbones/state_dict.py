"""Tensors read from weight files, never unpickled beyond tensors, and put into networks."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fgbench.util.errors import FgbenchError


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pth or .pt one, floats as float32.

    Raises:
        FgbenchError: the file is truncated, holds anything but tensors, or is not what its name says.
    """
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch refuses whatever could run code.
        raise FgbenchError(f"{path} holds more than tensors, or is damaged, and is not loaded", _AGAIN) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, LookupError) as error:
        raise FgbenchError(f"{path} cannot be read as weights: {_first_line(error)}", _AGAIN) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FgbenchError(f"{path} is not a dictionary of tensors")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


_AGAIN = "get the file again"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def load_into(module: nn.Module, state: dict[str, Tensor], source: Path) -> None:
    """Put weights into a module that may have fewer layers than the file.

    Raises:
        FgbenchError: a weight is missing, of another shape or not finite; names it, and both shapes.
    """
    own = module.state_dict()
    for name, value in own.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):
                continue  # older files lack it, and nothing here uses it
            raise FgbenchError(f"{source} has no {name!r}", "is it a weight file of this network?")
        if state[name].shape != value.shape:
            raise FgbenchError(
                f"{source}: {name!r} has the shape {tuple(state[name].shape)}, the network's is {tuple(value.shape)}",
                "is it a weight file of this network?",
            )
        if not torch.isfinite(state[name]).all():
            raise FgbenchError(f"{source}: {name!r} holds values that are not finite", _AGAIN)
    module.load_state_dict({name: state.get(name, value) for name, value in own.items()})

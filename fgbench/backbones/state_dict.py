"""Reading of tensors from weight files without running code from them, and loading into networks."""

import pickle
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fgbench.util.errors import FgbenchError

_HINT = "download the file again"


def read_state(path: Path, *, verified: bool = False) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors, .pth or .pt file by name, with floating-point values as float32.

    Args:
        path: The file.
        verified: True if the caller has verified a hash of the file. Otherwise the checksums in a .pth or .pt file are
            verified, which torch does not do; other files have none.

    Raises:
        FgbenchError: The file is damaged, has another format, or contains objects other than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            if not verified and zipfile.is_zipfile(path):
                _verify_checksums(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch refuses objects that could run code.
        raise FgbenchError(f"{path} is damaged or contains objects other than tensors", _HINT) from error
    except Exception as error:  # damaged bytes can raise any error
        raise FgbenchError(f"{path} cannot be read as a weight file: {_first_line(error)}", _HINT) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FgbenchError(f"{path} is not a dictionary of tensors")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def _verify_checksums(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def load_into(module: nn.Module, state: dict[str, Tensor], source: Path) -> None:
    """Load weights into a module, which may have fewer layers than the file.

    Args:
        module: The module.
        state: Tensors by name.
        source: The weight file, for messages.

    Raises:
        FgbenchError: A weight is missing, has another shape or is not finite.
    """
    expected = module.state_dict()
    for name, value in expected.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):
                continue  # older files do not have it, and nothing here uses it
            raise FgbenchError(f"{source} has no {name!r}", "use a weight file of this network")
        if state[name].shape != value.shape:
            raise FgbenchError(
                f"{source}: {name!r} has the shape {tuple(state[name].shape)}; the network needs {tuple(value.shape)}",
                "use a weight file of this network",
            )
        if not torch.isfinite(state[name]).all():
            raise FgbenchError(f"{source}: {name!r} has values that are not finite", _HINT)
    module.load_state_dict({name: state.get(name, value) for name, value in expected.items()})

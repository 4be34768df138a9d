"""Reading of tensors from weight files without running code from them, and loading into networks."""

import pickle
import zipfile
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fgbench.util.counted import counted
from fgbench.util.damaged import tell
from fgbench.util.errors import FgbenchError
from fgbench.util.placeholders import refuse_placeholder

FLOATS = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
"""Types of weights. Eight bits or fewer hold codes, which are weights only after a scale was applied."""
SHOWN_NAMES = 3
"""Names of tensors that a message lists."""
_HINT = "download the file again"
_OTHER_FILE = "use a weight file of this network"
_NOT_CODES = "use a weight file of this network in float32, float16 or bfloat16, which is not quantized"


def read_state(path: Path, *, verified: bool = False) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors, .pth or .pt file by name, with values of `FLOATS` as float32.

    The user is told of a conversion, except for a verified file, whose type is known.

    Args:
        path: The file.
        verified: True if the caller has verified a hash of the file. Otherwise the checksums in a .pth or .pt file are
            verified, which torch does not do; other files have none.

    Raises:
        FgbenchError: The file is damaged, has another format, or contains objects other than tensors.
    """
    refuse_placeholder(path)
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
        raise _not_tensors(path, state)
    if not verified:
        others = [value for value in state.values() if value.dtype in FLOATS - {torch.float32}]
        types = " and ".join(sorted({type_name(value) for value in others}))
        if others:
            _tell_once(f"{path} has {counted(len(others), 'tensor')} of {types}, used as float32")
    return {name: as_float32(value) for name, value in state.items()}


def _not_tensors(path: Path, state: object) -> FgbenchError:
    """Return the error for a file that holds something else, such as a checkpoint of a training."""
    fields = state if isinstance(state, dict) else {}
    nested = [name for name, value in fields.items() if isinstance(value, dict) and value]
    for name in nested:
        if all(isinstance(value, Tensor) for value in fields[name].values()):
            save = f"torch.save(torch.load({str(path)!r})[{name!r}], {str(path.with_suffix('.weights.pth'))!r})"
            return FgbenchError(f"{path} is a checkpoint, whose tensors are in the field {name!r}", save)
    return FgbenchError(f"{path} is not a dictionary of tensors", "save only its tensors: model.state_dict()")


@cache
def _tell_once(text: str) -> None:
    """Print a line for the user once in a process; several streams and runs read the same file."""
    tell(text)


def as_float32(value: Tensor) -> Tensor:
    """Return a tensor of `FLOATS` as float32, and another one as it is."""
    return value.float() if value.dtype in FLOATS else value


def type_name(value: Tensor) -> str:
    """Return the type of the values of a tensor, such as `int8`, after its layout if that is not dense."""
    layout = "" if value.layout == torch.strided else f"{str(value.layout).removeprefix('torch.')} "
    layout = "meta " if value.is_meta else layout
    return layout + str(value.dtype).removeprefix("torch.")


def _verify_checksums(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def load_into(module: nn.Module, state: Mapping[str, Tensor], source: Path, *, verified: bool = False) -> None:
    """Load weights into a module, which may have fewer layers than the file.

    Args:
        module: The module.
        state: Tensors by name.
        source: The weight file, for messages.
        verified: True if the file has the hash of a published one: its weights may then be zero.

    Raises:
        FgbenchError: A weight is missing, has another shape or type, or is not finite, or a weight with several
            dimensions consists of zeros.
    """
    expected = module.state_dict()
    for name, value in expected.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):
                continue  # older files do not have it, and nothing here uses it
            raise _missing(name, state, source)
        if state[name].shape != value.shape:
            raise FgbenchError(
                f"{source}: {name!r} has the shape {tuple(state[name].shape)}; the network needs {tuple(value.shape)}",
                _OTHER_FILE,
            )
        if not has_type_of(state[name], value):
            what = f"has the type {type_name(state[name])}; the network needs {type_name(value)}"
            raise FgbenchError(f"{source}: {name!r} {what}", _NOT_CODES)
        if not torch.isfinite(state[name]).all():
            raise FgbenchError(f"{source}: {name!r} has values that are not finite", _HINT)
        if not verified and is_zero_matrix(state[name]):
            raise FgbenchError(f"{source}: {name!r} consists of zeros", _OTHER_FILE)
    module.load_state_dict({name: state.get(name, value) for name, value in expected.items()})


def _missing(name: str, state: Collection[str], source: Path) -> FgbenchError:
    """Return the error for a tensor that a file lacks, or that it has with a prefix, as `DataParallel` saves it."""
    if longer := next((other for other in state if str(other).endswith(f".{name}")), ""):
        prefix = longer.removesuffix(name)
        return FgbenchError(
            f"{source} has no {name!r}, but {longer!r}",
            f"save its tensors under names without {prefix!r}",
        )
    return FgbenchError(f"{source} has no {name!r}", _OTHER_FILE)


def has_type_of(value: Tensor, expected: Tensor) -> bool:
    """Return True if a tensor can replace another one: both hold weights, or both hold integers."""
    dense = value.layout == torch.strided and not value.is_quantized and not value.is_meta
    if expected.dtype in FLOATS:
        return dense and value.dtype in FLOATS
    return dense and not value.is_floating_point() and not value.is_complex()


def is_zero_matrix(value: Tensor) -> bool:
    """Return True for a matrix or filters of zeros. A vector may be zero, such as the factors of a normalisation."""
    return value.dtype in FLOATS and sum(size > 1 for size in value.shape) > 1 and not value.any()


def check_no_other_layers(
    module: nn.Module, state: Collection[str], unused: Collection[str], source: Path, network: str
) -> None:
    """Refuse a file with layers that a network does not have: it is the file of another, larger network.

    Args:
        module: The network.
        state: Names of the tensors of the file.
        unused: Beginnings of the names of layers that the network has after its last tap, such as `classifier`.
        source: The weight file, for messages.
        network: Name of the network, for messages.

    Raises:
        FgbenchError: The file has other layers.
    """
    expected = module.state_dict()
    others = [name for name in state if name not in expected and name.partition(".")[0] not in unused]
    if others:
        names = ", ".join(others[:SHOWN_NAMES]) + (", …" if len(others) > SHOWN_NAMES else "")
        raise FgbenchError(
            f"{source} is not a file of {network}: it has {counted(len(others), 'tensor')} more, {names}",
            f"{_OTHER_FILE}, or remove these tensors from the file",
        )

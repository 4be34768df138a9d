"""Reader of MatConvNet's simplenn `.mat` files, such as imagenet-vgg-m (M-Net) and imagenet-vgg-verydeep-16 (D-Net).

The fields have the meaning given in MatConvNet's manual (Vedaldi and Lenc, arXiv 1412.4564). Defaults, and the first
layout of the files, are those of `vl_simplenn_tidy`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fgbench.backbones.matconvnet_layers import Padded, Pool, ResponseNorm
from fgbench.backbones.spec import InputSpec
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.matlab_files import read_mat

_DOWNLOAD = "download the file again"
_UNEXPECTED = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""Errors that a file raises whose variables have other types, shapes or sizes than those of a network."""


def read_matconvnet(path: Path, tap: str = "", *, verified: bool = False) -> tuple[nn.Sequential, InputSpec, int]:
    """Read a network up to a layer.

    Args:
        path: A `.mat` file of MATLAB version 5 with a simplenn network in the current or the first layout.
        tap: Name of the last layer; empty for all layers.
        verified: True if the file has the hash of a published one. Other files are read in a child process.

    Returns:
        The layers under their names in the file, the normalisation of the input, and the number of output channels.

    Raises:
        FgbenchError: The file has another format, or has an unknown layer or no layer `tap`.
    """
    content = read_mat(path, verified=verified, hint=_DOWNLOAD)
    try:
        return _network(path, content, tap)
    except _UNEXPECTED as error:
        raise FgbenchError(
            f"{path} has no simplenn network that can be read: {error}", "download the file again"
        ) from error


def _network(path: Path, content: dict[str, Any], tap: str) -> tuple[nn.Sequential, InputSpec, int]:
    """Return the layers, the normalisation and the number of channels from the variables of a file."""
    # The network is the file, or a variable `net`; the first layout has no `meta`.
    network = content.get("net", content)
    layers = _field(network, "layers")
    if _field(network, "params") is not None and _field(network, "vars") is not None:
        raise FgbenchError(
            f"{path} is a DagNN network (dagnn); only SimpleNN networks are read",
            "use the simplenn file of the network; see fgbench weights list",
        )
    normalization = _field(_field(network, "meta"), "normalization")
    if normalization is None:
        normalization = _field(network, "normalization")
    average = _field(normalization, "averageImage")
    if layers is None or average is None:
        raise FgbenchError(f"{path} has no simplenn network: layers or normalization.averageImage are missing")
    # Convert layer by layer up to the tap.
    sequence, channels, names = nn.Sequential(), 3, []
    for number, layer in enumerate(layers.reshape(-1), start=1):
        name = (_text(layer, "name") or f"layer{number}").replace(".", "_")
        if name in names:
            raise FgbenchError(f"{path} has two layers {name!r}", _DOWNLOAD)
        module, channels = _module(layer, channels, f"{path}: layer {name!r}")
        if module is not None:
            sequence.add_module(name, module)
        names.append(name)
        if name == tap:
            break
    if tap and names[-1:] != [tap]:
        raise FgbenchError(f"{path} has no layer {tap!r}; {nearest(tap, names)}")
    return sequence, _input_spec(average, path), channels


def _input_spec(average: np.ndarray[Any, Any], path: Path) -> InputSpec:
    """Return the normalisation: RGB from 0 to 255 minus the mean colour; an average image is reduced to its mean."""
    if average.size == 0 or average.size % 3 or (average.size > 3 and average.shape[-1] != 3):
        raise FgbenchError(
            f"{path}: averageImage has the shape {average.shape}, which is neither an RGB image nor a colour"
        )
    if average.dtype.kind not in "fiu" or not np.isfinite(average).all():
        what = "values that are not finite" if average.dtype.kind in "fiu" else f"the type {average.dtype}"
        raise FgbenchError(f"{path}: averageImage has {what}", _DOWNLOAD)
    mean = average.astype(np.float64).reshape(-1, 3).mean(axis=0)
    return InputSpec("rgb", 255.0, (float(mean[0]), float(mean[1]), float(mean[2])))


def _module(layer: Any, channels: int, where: str) -> tuple[nn.Module | None, int]:
    """Return the module of a layer, or None for a softmax, and the number of output channels."""
    kind = _text(layer, "type")
    if kind == "conv":
        return _convolution(layer, channels, where)
    if kind == "relu":
        leak = _numbers(layer, "leak", 0.0)[0]
        return (nn.LeakyReLU(leak) if leak else nn.ReLU()), channels
    if kind in {"normalize", "lrn"}:
        n, kappa, alpha, beta = _numbers(layer, "param", 5, 1, 1e-4 / 5, 0.75)
        return ResponseNorm(channels, int(n), kappa, alpha, beta), channels
    if kind == "pool":
        method = _text(layer, "method") or "max"
        if method not in {"max", "avg"}:
            raise FgbenchError(f"{where} has the unknown pooling method {method!r}")
        size, pad = _pair(layer, "pool", 1), _pad(layer, where)
        if max(pad[:2]) >= size[1] or max(pad[2:]) >= size[0]:
            raise FgbenchError(f"{where} has the padding {pad}, which is too large for a window of {size}")
        return Pool(method, size, _pair(layer, "stride", 1), pad), channels
    if kind == "dropout":
        return nn.Dropout(_numbers(layer, "rate", 0.5)[0]), channels
    if kind in {"softmax", "softmaxloss"}:
        return None, channels
    raise FgbenchError(f"{where} has the unknown type {kind!r}")


def _convolution(layer: Any, channels: int, where: str) -> tuple[nn.Module, int]:
    """Return the convolution of a layer and the number of its output channels."""
    # The first layout has `filters` and `biases` instead of `weights`.
    weights = _field(layer, "weights")
    if weights is not None and weights.size >= 2:
        filters, biases = weights.reshape(-1)[:2]
    else:
        filters, biases = _field(layer, "filters"), _field(layer, "biases")
    if not isinstance(filters, np.ndarray) or not isinstance(biases, np.ndarray) or not 2 <= filters.ndim <= 4:
        raise FgbenchError(f"{where} has no filters and biases")
    # MATLAB drops trailing dimensions of size 1: height x width x inputs x outputs.
    kernel = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))
    height, width, inputs, outputs = kernel.shape
    groups, remainder = divmod(channels, inputs) if inputs else (0, 1)
    if remainder or not groups or outputs % groups or biases.size not in {0, outputs}:
        raise FgbenchError(
            f"{where} has filters of shape {kernel.shape} and {biases.size} biases for {channels} input channels"
        )
    _check_values(kernel, biases, where)
    convolution = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv2d,
        *(inputs * groups, outputs, (height, width)),
        stride=_pair(layer, "stride", 1),
        dilation=_pair(layer, "dilate", 1),
        groups=groups,
        bias=biases.size > 0,
    )
    with torch.no_grad():
        convolution.weight.copy_(_tensor(kernel.transpose(3, 2, 0, 1)))
        if convolution.bias is not None:
            convolution.bias.copy_(_tensor(biases.reshape(-1)))
    # torch pads both sides of an axis alike; other padding needs a layer of its own.
    left, right, top, bottom = pad = _pad(layer, where)
    if left == right and top == bottom:
        convolution.padding = (top, left)
        return convolution, outputs
    return Padded(convolution, pad), outputs


def _check_values(filters: np.ndarray[Any, Any], biases: np.ndarray[Any, Any], where: str) -> None:
    """Refuse filters and biases that are no weights. MATLAB stores biases as integers if all of them are whole."""
    for name, values, kinds in (("filters", filters, "f"), ("biases", biases, "fiu")):
        if values.dtype.kind not in kinds:
            raise FgbenchError(
                f"{where} has {name} of the type {values.dtype}, not of float32",
                "use a weight file of this network that is not quantized",
            )
        with np.errstate(over="ignore"):  # float64 beyond the range of float32
            is_finite = np.isfinite(values.astype(np.float32, copy=False)).all()
        if not is_finite:
            raise FgbenchError(f"{where} has {name} that are not finite in float32", _DOWNLOAD)
    if not filters.any():
        raise FgbenchError(f"{where} has filters that are all zero", "use a weight file of this network")


def check_same_weights(layers: nn.Module, expected: nn.Module, network: str, path: Path) -> None:
    """Refuse a file whose layers have not as many filters and weights as those of the network: it is of another one.

    Args:
        layers: The layers of the file.
        expected: The layers of the network.
        network: Name of the network, for the message.
        path: The file, for the message.

    Raises:
        FgbenchError: The numbers differ.
    """
    (banks, weights), (needed_banks, needed) = (
        (sum(value.dim() > 1 for value in module.parameters()), sum(value.numel() for value in module.parameters()))
        for module in (layers, expected)
    )
    if (banks, weights) != (needed_banks, needed):
        raise FgbenchError(
            f"{path} is not a file of {network}: it has {banks} layers of filters with {weights:,} weights, not "
            f"{needed_banks} with {needed:,}",
            "use a weight file of this network",
        )


def _tensor(values: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _field(struct: Any, name: str) -> Any:
    """Return a field of a MATLAB struct that SciPy read; None if it is missing."""
    if isinstance(struct, dict):
        return struct.get(name)
    if not isinstance(struct, np.ndarray) or struct.size != 1 or name not in (struct.dtype.names or ()):
        return None
    return struct.reshape(-1)[0][name]


def _text(layer: Any, name: str) -> str:
    value = _field(layer, name)
    return str(value.reshape(-1)[0]) if value is not None and value.size else ""


def _numbers(layer: Any, name: str, *default: float) -> list[float]:
    value = _field(layer, name)
    numbers = [float(v) for v in value.reshape(-1)] if value is not None and value.size else list(default)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} of a layer is not finite")
    return numbers


def _pair(layer: Any, name: str, default: int) -> tuple[int, int]:
    """Return the values for y and x of a field with one value for both or one for each."""
    values = [int(v) for v in _numbers(layer, name, default)]
    if min(values) < 1:
        raise ValueError(f"{name} of a layer is {min(values)}, which is not positive")
    return values[0], values[-1]


def _pad(layer: Any, where: str) -> tuple[int, int, int, int]:
    """Return the padding as left, right, top, bottom, the order of torch.

    The file has one value, or y and x, or top, bottom, left, right.
    """
    values = [int(v) for v in _numbers(layer, "pad", 0)]
    if min(values) < 0:
        raise FgbenchError(f"{where} has the negative padding {min(values)}", _DOWNLOAD)
    if len(values) not in {1, 2, 4}:
        raise FgbenchError(f"{where} has a padding of {len(values)} values, not of 1, 2 or 4")
    top, bottom, left, right = values if len(values) == 4 else (values[0], values[0], values[-1], values[-1])
    return left, right, top, bottom

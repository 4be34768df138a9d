"""Networks in MatConvNet's simplenn `.mat` files, such as M-Net (imagenet-vgg-m) and D-Net (imagenet-vgg-verydeep-16).

The meaning of each field is that of MatConvNet's manual (Vedaldi and Lenc, arXiv 1412.4564) and of `vl_simplenn_tidy`,
which also tells the defaults and the first layout of the files.
"""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from scipy.io.matlab import MatReadError
from torch import nn

from fgbench.backbones.matconvnet_layers import Padded, Pool, ResponseNorm
from fgbench.backbones.spec import InputSpec
from fgbench.util.errors import FgbenchError, nearest

_DAMAGED = (
    MatReadError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    zlib.error,
    struct.error,
)
"""What SciPy raises for bytes that are no MATLAB file of version 4 to 7.2."""


def read_matconvnet(path: Path, tap: str = "") -> tuple[nn.Sequential, InputSpec, int]:
    """A network with its layers under their own names, the input it expects, and its number of output channels.

    Args:
        path: a `.mat` file of MATLAB's version 5 with a simplenn network, of the current or the first layout.
        tap: the last layer to read; empty for all.

    Raises:
        FgbenchError: another file, another format, a layer that is not known, or no layer `tap`.
    """
    try:
        content = scipy.io.loadmat(path)
    except NotImplementedError as error:
        raise FgbenchError(f"{path} is a MATLAB 7.3 file, which is not read", "save it with '-v7' in MATLAB") from error
    except _DAMAGED as error:
        raise FgbenchError(f"{path} is not a MATLAB file that can be read: {error}", "get it again") from error
    network = content.get("net", content)
    layers = _field(network, "layers")
    normalization = _field(_field(network, "meta"), "normalization")
    if normalization is None:
        normalization = _field(network, "normalization")
    average = _field(normalization, "averageImage")
    if layers is None or average is None:
        raise FgbenchError(f"{path} holds no simplenn network: no layers, or no normalization.averageImage")
    sequence, channels, names = nn.Sequential(), 3, []
    for number, layer in enumerate(layers.reshape(-1), start=1):
        name = (_text(layer, "name") or f"layer{number}").replace(".", "_")
        module, channels = _module(layer, channels, f"{path}: layer {name!r}")
        if module is not None:
            sequence.add_module(name, module)
        names.append(name)
        if name == tap:
            break
    if tap and names[-1:] != [tap]:
        raise FgbenchError(f"{path} has no layer {tap!r}; {nearest(tap, names)}")
    return sequence, _input(average, path), channels


def _input(average: np.ndarray[Any, Any], path: Path) -> InputSpec:
    """RGB in 0 to 255 minus the average colour, which is also what stands for an average image."""
    if average.size == 0 or average.size % 3 or (average.size > 3 and average.shape[-1] != 3):
        raise FgbenchError(f"{path}: averageImage is neither an RGB image nor a colour: {average.shape}")
    mean = average.astype(np.float64).reshape(-1, 3).mean(axis=0)
    return InputSpec("rgb", 255.0, (float(mean[0]), float(mean[1]), float(mean[2])))


def _module(layer: Any, channels: int, where: str) -> tuple[nn.Module | None, int]:
    """The module of a layer (None for one that does nothing here), and the channels of its output."""
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
            raise FgbenchError(f"{where} pools by {method!r}, which is not known")
        size, pad = _pair(layer, "pool", 1), _pad(layer, where)
        if max(pad[:2]) >= size[1] or max(pad[2:]) >= size[0]:
            raise FgbenchError(f"{where} pads {pad} for a window of {size}")
        return Pool(method, size, _pair(layer, "stride", 1), pad), channels
    if kind == "dropout":
        return nn.Dropout(_numbers(layer, "rate", 0.5)[0]), channels
    if kind in {"softmax", "softmaxloss"}:
        return None, channels
    raise FgbenchError(f"{where} is of type {kind!r}, which is not known")


def _convolution(layer: Any, channels: int, where: str) -> tuple[nn.Module, int]:
    weights = _field(layer, "weights")
    if weights is not None and weights.size >= 2:
        filters, biases = weights.reshape(-1)[:2]
    else:
        filters, biases = _field(layer, "filters"), _field(layer, "biases")
    if not isinstance(filters, np.ndarray) or not isinstance(biases, np.ndarray) or not 2 <= filters.ndim <= 4:
        raise FgbenchError(f"{where} has no filters and biases")
    # MATLAB drops dimensions of one at the end: height x width x in x out.
    kernel = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))
    height, width, inputs, outputs = kernel.shape
    groups, rest = divmod(channels, inputs) if inputs else (0, 1)
    if rest or not groups or outputs % groups or biases.size not in {0, outputs}:
        raise FgbenchError(f"{where} has filters of {kernel.shape} and {biases.size} biases for {channels} channels")
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
    left, right, top, bottom = pad = _pad(layer, where)
    if left == right and top == bottom:
        convolution.padding = (top, left)
        return convolution, outputs
    return Padded(convolution, pad), outputs


def _tensor(values: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _field(struct: Any, name: str) -> Any:
    """A field of a MATLAB struct as SciPy gives it, None when it is not there."""
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
    return [float(v) for v in value.reshape(-1)] if value is not None and value.size else list(default)


def _pair(layer: Any, name: str, default: int) -> tuple[int, int]:
    """One value for both axes, or that of y and that of x."""
    values = [int(v) for v in _numbers(layer, name, default)]
    return values[0], values[-1]


def _pad(layer: Any, where: str) -> tuple[int, int, int, int]:
    """MatConvNet's one value, or y and x, or top, bottom, left, right, as torch's left, right, top, bottom."""
    values = [int(v) for v in _numbers(layer, "pad", 0)]
    if len(values) not in {1, 2, 4}:
        raise FgbenchError(f"{where} has a pad of {len(values)} values")
    top, bottom, left, right = values if len(values) == 4 else (values[0], values[0], values[-1], values[-1])
    return left, right, top, bottom

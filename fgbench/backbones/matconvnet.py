"""Networks in MatConvNet's simplenn `.mat` files, such as M-Net (imagenet-vgg-m) and D-Net (imagenet-vgg-verydeep-16)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fgbench.backbones.spec import InputSpec
from fgbench.errors import FgbenchError


class LocalResponseNorm(nn.Module):
    """Normalisation across channels: x / (kappa + alpha * sum of x^2 over n channels) ^ beta.

    The sum is a 1 x 1 convolution of x^2 with a band matrix, which is faster than pooling over channels. Note that
    torch's own layer divides alpha by n; MatConvNet's does not.
    """

    band: Tensor

    def __init__(self, channels: int, n: int, kappa: float, alpha: float, beta: float) -> None:
        super().__init__()
        self.kappa, self.alpha, self.beta = kappa, alpha, beta
        row = torch.arange(channels)
        offset = row[None, :] - row[:, None]
        # an even n reaches one channel further up than down
        near = (offset >= -((n - 1) // 2)) & (offset <= n // 2)
        self.register_buffer("band", near.float()[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x / (self.kappa + self.alpha * F.conv2d(x.square(), self.band)) ** self.beta


class Pool(nn.Module):
    """Pooling with a pad of its own on each side: -inf for the maximum, not counted in the mean."""

    def __init__(self, method: str, size: tuple[int, int], stride: tuple[int, int], pad: tuple[int, ...]) -> None:
        super().__init__()
        self.method, self.size, self.stride, self.pad = method, size, stride, pad

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, h, w)."""
        if self.method == "max":
            padded = F.pad(x, self.pad, value=float("-inf")) if any(self.pad) else x
            return F.max_pool2d(padded, self.size, self.stride)
        if not any(self.pad):
            return F.avg_pool2d(x, self.size, self.stride)
        total = F.avg_pool2d(F.pad(x, self.pad), self.size, self.stride)
        count = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), self.pad), self.size, self.stride)
        return total / count


class Padded(nn.Module):
    """A convolution with a pad of its own on each side."""

    def __init__(self, convolution: nn.Conv2d, pad: tuple[int, ...]) -> None:
        super().__init__()
        self.convolution, self.pad = convolution, pad

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, h, w)."""
        result: Tensor = self.convolution(F.pad(x, self.pad))
        return result


def read_matconvnet(path: Path) -> tuple[nn.Sequential, InputSpec]:
    """A network with its layers under their own names, and the input it expects.

    Args:
        path: a `.mat` file of MATLAB's version 5 with a simplenn network, of the current or the first layout.

    Raises:
        FgbenchError: another file, another format, or a layer that is not known.
    """
    import scipy.io

    try:
        content = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False, chars_as_strings=True)
    except NotImplementedError as error:
        raise FgbenchError(f"{path} is a MATLAB 7.3 file", "save it with '-v7' in MATLAB") from error
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError) as error:
        raise FgbenchError(f"{path} is not a MATLAB file that can be read: {error}", "get it again") from error
    network = content.get("net", None)
    layers = getattr(network, "layers", content.get("layers"))
    meta = getattr(network, "meta", content.get("meta"))
    normalization = getattr(meta, "normalization", getattr(network, "normalization", content.get("normalization")))
    if layers is None or normalization is None:
        raise FgbenchError(f"{path} holds no simplenn network (no layers and normalization)")
    modules: dict[str, nn.Module] = {}
    channels = 3
    for number, layer in enumerate(np.atleast_1d(layers)):
        name = str(getattr(layer, "name", "") or f"layer{number}").replace(".", "_")
        module = _layer(layer, channels, f"{path}: layer {name}")
        if isinstance(module, nn.Conv2d):
            channels = module.out_channels
        elif isinstance(module, Padded):
            channels = module.convolution.out_channels
        if module is not None:
            modules[name] = module
    sequence = nn.Sequential()
    for name, module in modules.items():
        sequence.add_module(name, module)
    average = np.asarray(normalization.averageImage, dtype=np.float64)
    mean = average.reshape(-1, 3).mean(axis=0)
    return sequence, InputSpec("rgb", 255.0, (float(mean[0]), float(mean[1]), float(mean[2])))


def _layer(layer: Any, channels: int, where: str) -> nn.Module | None:
    kind = str(layer.type)
    if kind == "conv":
        return _convolution(layer, where)
    if kind == "relu":
        return nn.ReLU()
    if kind in {"normalize", "lrn"}:
        n, kappa, alpha, beta = (float(value) for value in np.ravel(layer.param))
        return LocalResponseNorm(channels, int(n), kappa, alpha, beta)
    if kind == "pool":
        size = _pair(layer.pool)
        return Pool(str(getattr(layer, "method", "max")), size, _pair(layer.stride), _pad(layer.pad))
    if kind in {"dropout", "softmax", "softmaxloss"}:
        return None
    raise FgbenchError(f"{where}: a layer of type {kind!r} is not known")


def _convolution(layer: Any, where: str) -> nn.Module:
    weights = getattr(layer, "weights", None)
    filters, biases = (
        (weights[0], weights[1]) if weights is not None and len(weights) else (layer.filters, layer.biases)
    )
    kernel = np.asarray(filters, dtype=np.float32)
    bias = np.ravel(np.asarray(biases, dtype=np.float32))
    # MATLAB drops trailing dimensions of one: height x width x in x out
    kernel = kernel.reshape(kernel.shape + (1,) * (4 - kernel.ndim))
    if kernel.shape[3] != len(bias):
        kernel = kernel.reshape(*_squeezed(kernel, len(bias), where))
    height, width, inputs, outputs = kernel.shape
    convolution = nn.Conv2d(inputs, outputs, (height, width), stride=_pair(layer.stride))
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))))
        if convolution.bias is not None:
            convolution.bias.copy_(torch.from_numpy(bias.copy()))
    pad = _pad(layer.pad)
    if pad[0] == pad[1] and pad[2] == pad[3]:
        convolution.padding = (pad[2], pad[0])
        return convolution
    return Padded(convolution, pad)


def _squeezed(kernel: np.ndarray, outputs: int, where: str) -> tuple[int, int, int, int]:
    """The shape of a 1 x 1 kernel whose first two dimensions were squeezed away on reading."""
    inputs, rest = divmod(kernel.size, outputs)
    if rest or kernel.shape[:2] != (inputs, outputs):
        raise FgbenchError(f"{where}: filters of {kernel.shape} for {outputs} biases")
    return 1, 1, inputs, outputs


def _pair(value: Any) -> tuple[int, int]:
    values = [int(v) for v in np.ravel(value)]
    return (values[0], values[-1])


def _pad(value: Any) -> tuple[int, int, int, int]:
    """MatConvNet's top, bottom, left, right (or one value, or two) as torch's left, right, top, bottom."""
    values = [int(v) for v in np.ravel(value)]
    top, bottom, left, right = {1: values * 4, 2: [values[0]] * 2 + [values[-1]] * 2, 4: values}[len(values)]
    return left, right, top, bottom

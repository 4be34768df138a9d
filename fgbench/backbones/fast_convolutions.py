"""The choice of the algorithm for each convolution of a network on a CPU."""

from collections.abc import MutableMapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import is_in_torch_dispatch_mode
from torch.utils.weak import WeakIdKeyDictionary

from fgbench.backbones.winograd import TILE, winograd_conv2d, winograd_weights
from fgbench.backbones.winograd_training import WinogradConvolution

MIN_CHANNELS = 128
"""Fewest input and output channels. With fewer, the transforms take longer than the products save."""
MIN_TILES = 48
"""Fewest tiles in a call. With fewer, reading the transformed weights takes longer than the products save."""


class FastConvolutions(TorchFunctionMode):
    """A context in which the convolutions of a network use the algorithm where it is faster.

    Without gradients, it keeps the transformed weights of the layers, 4 times the memory of the weights, until their
    next change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: MutableMapping[Tensor, tuple[int, Tensor]] = WeakIdKeyDictionary()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function of torch; a convolution that `_is_faster` accepts by the algorithm of Winograd."""
        if func is F.conv2d and _is_faster(*(all_arguments := _all_arguments(*args, **(kwargs or {})))):
            x, weight, bias = all_arguments[:3]
            if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
                return WinogradConvolution.apply(x, weight, bias)  # type: ignore[no-untyped-call]
            return winograd_conv2d(x, self._weights(weight), bias)
        return func(*args, **(kwargs or {}))

    def _weights(self, weight: Tensor) -> Tensor:
        if weight not in self._kept or self._kept[weight][0] != weight._version:
            self._kept[weight] = weight._version, winograd_weights(weight.detach())
        return self._kept[weight][1]


def _all_arguments(
    input: Tensor,  # noqa: A002 - the name in torch
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, ...]:
    """Return the arguments of `F.conv2d`, with pairs instead of single numbers."""
    pairs = ((value, value) if isinstance(value, int) else value for value in (stride, padding, dilation))
    return input, weight, bias, *pairs, groups


def _is_faster(x: Tensor, weight: Tensor, bias: Tensor | None, *options: Any) -> bool:
    """Return True for a layer of 3 x 3 in float32 on a CPU that keeps the size and is large enough."""
    outputs, channels, *kernel = weight.shape
    tiles = len(x) * -(-x.shape[-2] // TILE) * -(-x.shape[-1] // TILE) if x.ndim == 4 else 0
    return (
        kernel == [3, 3]
        and options == ((1, 1), (1, 1), (1, 1), 1)
        and min(outputs, channels) >= MIN_CHANNELS
        and tiles >= MIN_TILES
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not is_in_torch_dispatch_mode()  # operations are counted for the direct algorithm
        and not weight.is_inference()
    )

"""Layers of MatConvNet that torch has not: pads of their own on each side, and its response normalisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResponseNorm(nn.Module):
    """Normalisation across channels: y = x / (kappa + alpha * sum of x^2 over n channels) ^ beta.

    The sum is a 1 x 1 convolution of x^2 with a band matrix, which is faster than pooling over channels. Torch's
    `LocalResponseNorm` divides alpha by n; MatConvNet, and so this, does not. An even n reaches one channel further up
    than down (`vl_nnnormalize`).

    Args:
        channels: C.
        n: channels in a sum.
        kappa: added to the sum.
        alpha: factor of the sum.
        beta: exponent.
    """

    band: Tensor

    def __init__(self, channels: int, n: int, kappa: float, alpha: float, beta: float) -> None:
        super().__init__()
        self.kappa, self.alpha, self.beta = kappa, alpha, beta
        row = torch.arange(channels)
        offset = row[None, :] - row[:, None]
        near = (offset >= -((n - 1) // 2)) & (offset <= n // 2)
        self.register_buffer("band", near.float()[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x / (self.kappa + self.alpha * F.conv2d(x.square(), self.band)) ** self.beta


class Pool(nn.Module):
    """Pooling with a pad of its own on each side, -inf for the maximum and not counted in the mean.

    Args:
        method: `max` or `avg`.
        size: of the window, y and x; larger than the pads.
        stride: in y and x.
        pad: left, right, top, bottom.
    """

    def __init__(
        self, method: str, size: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        self.method, self.size, self.stride, self.pad = method, size, stride, pad

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.method!r}, size={self.size}, stride={self.stride}, pad={self.pad}"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, h, w) with h = floor((H + top + bottom - size) / stride) + 1."""
        if self.method == "max":
            padded = F.pad(x, self.pad, value=float("-inf")) if any(self.pad) else x
            return F.max_pool2d(padded, self.size, self.stride)
        if not any(self.pad):
            return F.avg_pool2d(x, self.size, self.stride)
        total = F.avg_pool2d(F.pad(x, self.pad), self.size, self.stride)
        share = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), self.pad), self.size, self.stride)
        return total / share


class Padded(nn.Module):
    """A convolution with a pad of its own on each side.

    Args:
        convolution: has no pad.
        pad: left, right, top, bottom.
    """

    def __init__(self, convolution: nn.Conv2d, pad: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.convolution, self.pad = convolution, pad

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, h, w)."""
        result: Tensor = self.convolution(F.pad(x, self.pad))
        return result

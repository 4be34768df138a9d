"""Layers of MatConvNet that torch does not have: different padding on each side, and response normalisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResponseNorm(nn.Module):
    """Normalisation across channels: y = x / (kappa + alpha * sum of x^2 over n channels) ^ beta (`vl_nnnormalize`).

    The sum is a 1 x 1 convolution of x^2 with a band matrix, which is faster than pooling over channels. `alpha` is not
    divided by n, unlike in torch's `LocalResponseNorm`. For even n the sum includes one more channel above than below.

    Args:
        channels: C.
        n: Number of channels in a sum.
        kappa: Added to the sum.
        alpha: Factor of the sum.
        beta: Exponent.
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
        """Map (B, C, H, W) to the same shape."""
        return x / (self.kappa + self.alpha * F.conv2d(x.square(), self.band)) ** self.beta


class Pool(nn.Module):
    """Pooling with different padding on each side. The padding is -inf for the maximum and does not count in the mean.

    Args:
        method: `max` or `avg`.
        size: Height and width of the window; larger than the padding.
        stride: Stride in y and x.
        pad: Padding left, right, top, bottom.
    """

    def __init__(
        self, method: str, size: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int, int, int]
    ) -> None:
        super().__init__()
        self.method, self.size, self.stride, self.pad = method, size, stride, pad

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.method!r}, size={self.size}, stride={self.stride}, pad={self.pad}"

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, h, w) with h = floor((H + top + bottom - size) / stride) + 1."""
        if self.method == "max":
            padded = F.pad(x, self.pad, value=float("-inf")) if any(self.pad) else x
            return F.max_pool2d(padded, self.size, self.stride)
        if not any(self.pad):
            return F.avg_pool2d(x, self.size, self.stride)
        padded_mean = F.avg_pool2d(F.pad(x, self.pad), self.size, self.stride)
        inside = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), self.pad), self.size, self.stride)
        return padded_mean / inside


class Padded(nn.Module):
    """A convolution with different padding on each side.

    Args:
        convolution: Convolution without padding.
        pad: Padding left, right, top, bottom.
    """

    def __init__(self, convolution: nn.Conv2d, pad: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.convolution, self.pad = convolution, pad

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, D, h, w)."""
        output: Tensor = self.convolution(F.pad(x, self.pad))
        return output

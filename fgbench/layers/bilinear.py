"""Bilinear pooling and its normalisation (Lin, RoyChowdhury and Maji, ICCV 2015, section 3)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fgbench.errors import FgbenchError

SQRT_EPSILON = 1e-8
"""Added to |x| under the root in the gradient of `signed_sqrt`, and to the squared length in `l2_normalize`."""


def align_maps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two maps to the smaller height and width by dropping rows and columns, spread evenly.

    The official code keeps the rows `round(linspace(1, n, m))`: of 28 rows to 27 it drops one in the middle, not at
    the border. The gradient reaches only what is kept.

    Args:
        a: (B, C, H, W).
        b: (B, D, h, w).

    Returns:
        The two maps with equal height and width.
    """
    height, width = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
    return _keep(a, height, width), _keep(b, height, width)


def _keep(x: Tensor, height: int, width: int) -> Tensor:
    if x.shape[2:] == (height, width):
        return x
    return x[:, :, _spread(x.shape[2], height, x.device)][:, :, :, _spread(x.shape[3], width, x.device)]


def _spread(size: int, kept: int, device: torch.device) -> Tensor:
    """`kept` of `size` indices from the first to the last, evenly; halves are rounded up, in exact arithmetic."""
    steps = max(kept - 1, 1)
    return (2 * torch.arange(kept, device=device) * (size - 1) + steps) // (2 * steps)


def bilinear_pool(a: Tensor, b: Tensor) -> Tensor:
    """Sum over locations of the outer product of two maps, divided by the number of locations.

    Args:
        a: (B, C, H, W), features of the first stream.
        b: (B, D, H, W), features of the second; the same tensor for a symmetric network.

    Returns:
        (B, C * D); entry c * D + d is the mean of a[c] * b[d]. The paper sums; the mean differs by a factor that
        `l2_normalize` removes, and keeps large maps in range.

    Raises:
        FgbenchError: the maps differ in batch, height or width.
    """
    if a.shape[0] != b.shape[0] or a.shape[2:] != b.shape[2:]:
        raise FgbenchError(
            f"bilinear pooling of maps of {tuple(a.shape)} and {tuple(b.shape)}", "align them with align_maps first"
        )
    locations = a.shape[2] * a.shape[3]
    return (a.flatten(2) @ b.flatten(2).transpose(1, 2)).flatten(1) / locations


class _SignedSqrt(torch.autograd.Function):
    """sign(x) sqrt(|x|), whose gradient 0.5 / sqrt(|x| + epsilon) stays finite at zero, as in the official code."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, epsilon: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.epsilon = epsilon
        return x.sign() * x.abs().sqrt()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * 0.5 / (x.abs() + ctx.epsilon).sqrt(), None


def signed_sqrt(x: Tensor, epsilon: float = SQRT_EPSILON) -> Tensor:
    """Element-wise sign(x) sqrt(|x|) with the gradient 0.5 / sqrt(|x| + epsilon); any shape."""
    return _SignedSqrt.apply(x, epsilon)  # type: ignore[no-any-return,no-untyped-call]


def l2_normalize(x: Tensor, epsilon: float = SQRT_EPSILON) -> Tensor:
    """Rows of x (B, D) divided by sqrt(sum x^2 + epsilon): a row of zeros stays zero, with a finite gradient."""
    return x / (x.square().sum(dim=1, keepdim=True) + epsilon).sqrt()

"""Bilinear pooling and its normalisation (Lin, RoyChowdhury and Maji, ICCV 2015, section 3)."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.matmul import product

SQRT_EPSILON = 1e-8
"""Added to |x| under the root in the gradient of `signed_sqrt`, and to the squared length in `l2_normalize`."""

GRAM_ROWS = 128
"""Rows of a symmetric product taken at a time: of 512 in four parts, 10 of 16 blocks are computed."""

Dropped = Literal["middle", "border"]


def align_maps(a: Tensor, b: Tensor, dropped: Dropped = "middle") -> tuple[Tensor, Tensor]:
    """Bring two maps to the smaller height and width by dropping rows and columns.

    The gradient reaches only what is kept.

    Args:
        a: (B, C, H, W).
        b: (B, D, h, w).
        dropped: `middle` keeps the rows `round(linspace(1, n, m))` as the official code does, so that of 28 rows the
            14th is dropped; `border` drops the last rows and columns, the plain reading of "dropping a row and a
            column" (Where to Focus, section 4.1).

    Returns:
        The two maps with equal height and width.
    """
    height, width = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
    if dropped == "border":
        return a[:, :, :height, :width], b[:, :, :height, :width]
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
    return outer_sum(a, b).flatten(1) / (a.shape[2] * a.shape[3])


def outer_sum(a: Tensor, b: Tensor) -> Tensor:
    """Sum over locations of the outer product of maps (B, C, H, W) and (B, D, H, W): (B, C, D); errors as the mean."""
    check_maps(a, b)
    if a.device.type != "cpu" or (torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)):
        return a.flatten(2) @ b.flatten(2).transpose(1, 2)
    if a is b:
        return torch.stack([_gram(x) for x in a.flatten(2)])
    return torch.stack([product(x, y.T) for x, y in zip(a.flatten(2), b.flatten(2), strict=True)])


def _gram(x: Tensor) -> Tensor:
    """(C, L) to (C, C), the inner products of the rows: those on and above the diagonal, mirrored."""
    gram = x.new_empty(len(x), len(x))
    for start in range(0, len(x), GRAM_ROWS):
        rows, later = slice(start, start + GRAM_ROWS), slice(start + GRAM_ROWS, None)
        gram[rows, start:] = product(x[rows], x[start:].T)
        gram[later, rows] = gram[rows, later].T
    return gram


def symmetric_half(x: Tensor, channels: int) -> Tensor:
    """Vectors of symmetric matrices without what stands in them twice.

    Inner products stay the same, and with them distances and linear classifiers, at half the memory.

    Args:
        x: (B, K * C * C), K symmetric matrices a vector, row by row.
        channels: C.

    Returns:
        (B, K * C * (C + 1) / 2): of each matrix the entries on and above the diagonal, those above it times sqrt(2).
    """
    rows, columns = torch.triu_indices(channels, channels, device=x.device)
    times = x.new_full((len(rows),), math.sqrt(2)).masked_fill(rows == columns, 1)
    return (x.reshape(len(x), -1, channels**2)[:, :, rows * channels + columns] * times).flatten(1)


def bilinear_pyramid(a: Tensor, b: Tensor, pool: Callable[[Tensor, Tensor], Tensor], levels: tuple[int, ...]) -> Tensor:
    """Spatial pyramid pooling (He et al. 2014; section 4.1 of Where to Focus): `pool` in each cell of each level.

    Args:
        a: (B, C, H, W).
        b: (B, D, H, W).
        pool: maps two maps to (B, E), such as `bilinear_pool`.
        levels: cells along a side, as (1, 2) for the whole and its quarters; cells overlap where a side does not
            divide, as in adaptive pooling.

    Returns:
        (B, E * number of cells), level by level, row by row.

    Raises:
        FgbenchError: the maps do not fit each other, or have fewer cells than a level.
    """
    check_maps(a, b)
    if max(levels) > min(a.shape[2:]):
        raise FgbenchError(f"a pyramid of {levels} on maps of {a.shape[2]} x {a.shape[3]}")
    cells = []
    for level in levels:
        for top, bottom in _cells(a.shape[2], level):
            for left, right in _cells(a.shape[3], level):
                cells.append(pool(a[:, :, top:bottom, left:right], b[:, :, top:bottom, left:right]))
    return torch.cat(cells, dim=1)


def _cells(size: int, count: int) -> list[tuple[int, int]]:
    return [(size * k // count, -(-size * (k + 1) // count)) for k in range(count)]


def check_maps(a: Tensor, b: Tensor) -> None:
    """Raise FgbenchError unless two maps agree in batch, height and width."""
    if a.shape[0] != b.shape[0] or a.shape[2:] != b.shape[2:]:
        raise FgbenchError(
            f"bilinear pooling of maps of {tuple(a.shape)} and {tuple(b.shape)}", "align them with align_maps first"
        )


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

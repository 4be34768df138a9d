"""Bilinear pooling and its normalisation (Lin, RoyChowdhury and Maji, ICCV 2015, section 3)."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.matmul import product
from fgbench.util.numeric.precision import full_precision

SQRT_EPSILON = 1e-8
"""Added to |x| under the root in the gradient of `signed_sqrt`, and to the squared length in `l2_normalize`."""

GRAM_ROWS = 128
"""Rows of a symmetric product that are computed at a time. For 512 rows this computes 10 of 16 blocks."""

Dropped = Literal["middle", "border"]


def align_maps(a: Tensor, b: Tensor, dropped: Dropped = "middle") -> tuple[Tensor, Tensor]:
    """Reduce two maps to the smaller height and the smaller width by dropping rows and columns.

    The gradient reaches only the kept rows and columns.

    Args:
        a: (B, C, H, W).
        b: (B, D, h, w).
        dropped: `middle` keeps the rows `round(linspace(1, n, m))`, as the official code does, so that the 14th of 28
            rows is dropped. `border` drops the last rows and columns, the literal reading of "dropping a row and a
            column" (Where to Focus, section 4.1).

    Returns:
        (B, C, min(H, h), min(W, w)) and (B, D, min(H, h), min(W, w)).

    Raises:
        ArgumentError: a map does not have four dimensions.

    Example:
        >>> import torch
        >>> big, small = torch.arange(4.0).view(1, 1, 1, 4), torch.zeros(1, 1, 1, 3)
        >>> align_maps(big, small)[0].flatten().tolist()
        [0.0, 2.0, 3.0]
        >>> align_maps(big, small, "border")[0].flatten().tolist()
        [0.0, 1.0, 2.0]
    """
    if a.dim() != 4 or b.dim() != 4:
        raise ArgumentError(f"cannot align maps {tuple(a.shape)} and {tuple(b.shape)}", "give maps (B, C, H, W)")
    height, width = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
    if dropped == "border":
        return a[:, :, :height, :width], b[:, :, :height, :width]
    return _subsample(a, height, width), _subsample(b, height, width)


def _subsample(x: Tensor, height: int, width: int) -> Tensor:
    if x.shape[2:] == (height, width):
        return x
    return x[:, :, _spread(x.shape[2], height, x.device)][:, :, :, _spread(x.shape[3], width, x.device)]


def _spread(size: int, kept: int, device: torch.device) -> Tensor:
    """Return `kept` evenly spaced indices from 0 to size - 1, in exact arithmetic with halves rounded up."""
    steps = max(kept - 1, 1)
    return (2 * torch.arange(kept, device=device) * (size - 1) + steps) // (2 * steps)


def bilinear_pool(a: Tensor, b: Tensor) -> Tensor:
    """Compute the mean over locations of the outer product of two maps.

    The paper takes the sum. The mean differs by a factor that `l2_normalize` removes, and keeps the values of large
    maps in range.

    Args:
        a: (B, C, H, W), features of the first stream.
        b: (B, D, H, W), features of the second stream; the same tensor for a symmetric network.

    Returns:
        (B, C * D); entry c * D + d is the mean of a[c] * b[d].

    Raises:
        ArgumentError: the maps differ in batch, height or width.

    Example:
        >>> import torch
        >>> a = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
        >>> b = torch.tensor([[1.0, 1.0], [0.0, 2.0]]).view(1, 2, 1, 2)
        >>> bilinear_pool(a, b).tolist()
        [[2.0, 3.0]]
    """
    return outer_sum(a, b).flatten(1) / (a.shape[2] * a.shape[3])


@full_precision
def outer_sum(a: Tensor, b: Tensor) -> Tensor:
    """Compute the sum over locations of the outer product of two maps.

    Args:
        a: (B, C, H, W).
        b: (B, D, H, W).

    Returns:
        (B, C, D).

    Raises:
        ArgumentError: the maps differ in batch, height or width.

    Example:
        >>> import torch
        >>> a = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
        >>> b = torch.tensor([[1.0, 1.0], [0.0, 2.0]]).view(1, 2, 1, 2)
        >>> outer_sum(a, b).tolist()
        [[[4.0, 6.0]]]
    """
    check_maps(a, b)
    if a.device.type != "cpu" or (torch.is_grad_enabled() and (a.requires_grad or b.requires_grad)):
        return a.flatten(2) @ b.flatten(2).transpose(1, 2)  # (B, C, L) @ (B, L, D)
    if a is b:
        return torch.stack([_gram(x) for x in a.flatten(2)])
    return torch.stack([product(x, y.T) for x, y in zip(a.flatten(2), b.flatten(2), strict=True)])


def _gram(x: Tensor) -> Tensor:
    """Compute the inner products (C, C) of the rows of (C, L); blocks below the diagonal are copies."""
    gram = x.new_empty(len(x), len(x))
    for start in range(0, len(x), GRAM_ROWS):
        rows, later = slice(start, start + GRAM_ROWS), slice(start + GRAM_ROWS, None)
        gram[rows, start:] = product(x[rows], x[start:].T)
        gram[later, rows] = gram[rows, later].T
    return gram


def symmetric_half(x: Tensor, channels: int) -> Tensor:
    """Remove the duplicate entries of flattened symmetric matrices.

    Inner products do not change, nor do distances and linear classifiers. The result needs half the memory.

    Args:
        x: (B, K * C * C), K symmetric matrices per row, each flattened row by row.
        channels: C.

    Returns:
        (B, K * C * (C + 1) / 2): the entries on and above the diagonal of each matrix, those above it times sqrt(2).

    Raises:
        ArgumentError: `x` is not (B, K * C * C).

    Example:
        >>> import torch
        >>> matrix = torch.tensor([[1.0, 2.0], [2.0, 5.0]])
        >>> symmetric_half(matrix.view(1, 4), channels=2)
        tensor([[1.0000, 2.8284, 5.0000]])
    """
    if x.dim() != 2 or channels < 1 or x.shape[1] % channels**2:
        raise ArgumentError(f"rows {tuple(x.shape)} do not consist of matrices {channels} x {channels}")
    rows, columns = torch.triu_indices(channels, channels, device=x.device)
    factors = x.new_full((len(rows),), math.sqrt(2)).masked_fill(rows == columns, 1)
    return (x.reshape(len(x), -1, channels**2)[:, :, rows * channels + columns] * factors).flatten(1)


def bilinear_pyramid(
    a: Tensor,
    b: Tensor,
    pool: Callable[[Tensor, Tensor], Tensor],
    levels: tuple[int, ...],
    cells: Literal["sum", "mean"] = "sum",
) -> Tensor:
    """Apply `pool` to each cell of each level of a spatial pyramid (He et al. 2014; Where to Focus, section 4.1).

    Args:
        a: (B, C, H, W).
        b: (B, D, H, W).
        pool: maps two maps to the mean over their locations, (B, E), such as `bilinear_pool`.
        levels: number of cells along a side at each level; (1, 2) is the whole map and its quarters. Cells overlap
            where a side is not divisible, as in adaptive pooling.
        cells: `sum` multiplies the mean of each cell by its share of the locations: the sums over the cells, divided
            by the number of all locations. The whole map then has as much weight as its quarters together. `mean`
            gives each cell the weight of the whole map.

    Returns:
        (B, E * number of cells), level by level and row by row.

    Raises:
        ArgumentError: the maps differ in batch, height or width, or have fewer rows or columns than a level has cells.

    Example:
        >>> import torch
        >>> a = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(1, 1, 2, 2)
        >>> bilinear_pyramid(a, torch.ones(1, 1, 2, 2), bilinear_pool, (1, 2)).tolist()
        [[4.0, 0.25, 0.75, 1.25, 1.75]]
        >>> bilinear_pyramid(a, torch.ones(1, 1, 2, 2), bilinear_pool, (1, 2), "mean").tolist()
        [[4.0, 1.0, 3.0, 5.0, 7.0]]
    """
    check_maps(a, b)
    if max(levels) > min(a.shape[2:]):
        raise ArgumentError(f"a pyramid of levels {levels} needs larger maps than {a.shape[2]} x {a.shape[3]}")
    pooled = []
    for level in levels:
        for top, bottom in _cell_edges(a.shape[2], level):
            for left, right in _cell_edges(a.shape[3], level):
                mean = pool(a[:, :, top:bottom, left:right], b[:, :, top:bottom, left:right])
                share = (bottom - top) * (right - left) / (a.shape[2] * a.shape[3])
                pooled.append(mean * share if cells == "sum" and share < 1 else mean)
    return torch.cat(pooled, dim=1)


def _cell_edges(size: int, count: int) -> list[tuple[int, int]]:
    """Return the first index and the index after the last one of `count` cells along `size` rows or columns."""
    return [(size * k // count, -(-size * (k + 1) // count)) for k in range(count)]


def check_maps(a: Tensor, b: Tensor) -> None:
    """Check that two maps (B, C, H, W) and (B, D, H, W) agree in batch, height and width.

    Raises:
        ArgumentError: they do not.

    Example:
        >>> import torch
        >>> check_maps(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4))
        >>> check_maps(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 5, 5))
        Traceback (most recent call last):
        fgbench.util.errors.ArgumentError: maps (1, 2, 4, 4) and (1, 3, 5, 5) differ in batch, height or width
          call align_maps first
    """
    if a.dim() != 4 or b.dim() != 4 or a.shape[0] != b.shape[0] or a.shape[2:] != b.shape[2:]:
        raise ArgumentError(
            f"maps {tuple(a.shape)} and {tuple(b.shape)} differ in batch, height or width", "call align_maps first"
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


@full_precision
def signed_sqrt(x: Tensor, epsilon: float = SQRT_EPSILON) -> Tensor:
    """Compute the element-wise signed square root sign(x) sqrt(|x|).

    Args:
        x: any shape.
        epsilon: keeps the gradient 0.5 / sqrt(|x| + epsilon) finite at zero.

    Returns:
        The shape of `x`.

    Example:
        >>> import torch
        >>> signed_sqrt(torch.tensor([-4.0, 0.0, 9.0]))
        tensor([-2.,  0.,  3.])
    """
    return _SignedSqrt.apply(x, epsilon)  # type: ignore[no-any-return,no-untyped-call]


@full_precision
def l2_normalize(x: Tensor, epsilon: float = SQRT_EPSILON) -> Tensor:
    """Divide each row by its length sqrt(sum x^2 + epsilon).

    Args:
        x: (B, D).
        epsilon: keeps a row of zeros zero and its gradient finite.

    Returns:
        (B, D).

    Example:
        >>> import torch
        >>> l2_normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    return x / (x.square().sum(dim=1, keepdim=True) + epsilon).sqrt()

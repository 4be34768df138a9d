"""Trilinear attention, and the maps from which TASN samples (Zheng, Fu, Zha and Luo, CVPR 2019).

Where the paper and the official MXNet code (researchmm/tasn) differ, both variants have a name. The code blocks the
gradient through the attention: callers that follow the code detach the features first.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from fgbench.util.errors import ArgumentError, nearest
from fgbench.util.numeric.devices import to_device
from fgbench.util.numeric.precision import full_precision

Normalisation = Literal["both", "spatial", "relation", "none"]
Reduction = Literal["mean", "unique_sum", "misplaced_unique_sum"]

CODE_SCALE = 7.0
"""Factor on the features inside the spatial softmax in the official code; 2 in the unfinished PyTorch port."""


@full_precision
def trilinear_attention(features: Tensor, *, normalisation: Normalisation = "both", scale: float = 1.0) -> Tensor:
    """Compute one attention map per channel: a mixture of all channels, weighted by their spatial overlap.

    With X the features as a C x N matrix, N = H W, the maps are M(X) = N2(N1(X) X^T) X. N1 (spatial) is a softmax over
    the positions of a channel; it brings all channels to one scale. N2 (relation) is a softmax over each row of the
    C x C matrix, the relations of one channel to all channels.

    Args:
        features: (B, C, H, W).
        normalisation: `both` is M(X) of the paper and, with `CODE_SCALE`, of the official code. `none` is
            M_b(X) = (X X^T) X of the paper. `spatial` and `relation` apply only N1 or only N2.
        scale: factor on X inside N1: 1 in the paper, `CODE_SCALE` in the official code.

    Returns:
        (B, C, H, W), non-negative for non-negative features.

    Raises:
        ArgumentError: the features do not have four dimensions, or the normalisation is unknown.

    Example:
        >>> import torch
        >>> features = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])
        >>> trilinear_attention(features, normalisation="none").tolist()
        [[[[1.0, 0.0]], [[0.0, 8.0]]]]
    """
    _check_maps(features)
    _check_option("normalisation", normalisation, get_args(Normalisation))
    x = features.flatten(2)  # (B, C, N)
    spatial = torch.softmax(scale * x, dim=2) if normalisation in {"both", "spatial"} else x  # (B, C, N)
    relation = spatial @ x.transpose(1, 2)  # (B, C, C)
    if normalisation in {"both", "relation"}:
        relation = torch.softmax(relation, dim=2)
    return (relation @ x).view_as(features)


@full_precision
def structure_map(attention: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """Combine all attention maps of an image into one, used to sample the image with its whole structure.

    The official code also squares the map at the size of the image: see `squared` of `attention_sample`.

    Args:
        attention: (B, C, H, W), from `trilinear_attention`.
        reduction: `mean` over the channels is A(M) of the paper. `unique_sum` is the intention of the official code:
            the sum of the channels, where only the first of channels with equal total mass counts.
            `misplaced_unique_sum` is its actual result: duplicates are marked in the order of the sorted masses, but
            the marks are applied to the unsorted channels.

    Returns:
        (B, H, W).

    Raises:
        ArgumentError: the attention does not have four dimensions, or the reduction is unknown.

    Example:
        >>> import torch
        >>> attention = torch.tensor([[[[3.0, 0.0]], [[1.0, 2.0]], [[0.0, 1.0]]]])  # masses 3, 3, 1
        >>> structure_map(attention, reduction="unique_sum").tolist()
        [[[3.0, 1.0]]]
        >>> structure_map(attention, reduction="misplaced_unique_sum").tolist()
        [[[4.0, 2.0]]]
    """
    _check_maps(attention)
    _check_option("reduction", reduction, get_args(Reduction))
    if reduction == "mean":
        return attention.mean(1)
    order, first = _first_of_mass(attention)
    kept = first if reduction == "misplaced_unique_sum" else _unsort(order, first)  # (B, C)
    return torch.einsum("bc,bchw->bhw", kept.to(attention.dtype), attention)


def random_channels(attention: Tensor, generator: torch.Generator | None, *, unique: bool = False) -> Tensor:
    """Draw one channel per image with equal probabilities: the choice in R(M) of the paper.

    Args:
        attention: (B, C, H, W).
        generator: a CPU generator, so that a run draws the same channels on every device; None for the global one.
        unique: exclude all but the first of the channels with equal total mass, as the official code does. Otherwise
            channels that are zero everywhere would often be drawn.

    Returns:
        (B,) integers below C, on the device of the attention.

    Raises:
        ArgumentError: the attention does not have four dimensions.

    Example:
        >>> import torch
        >>> random_channels(torch.rand(4, 1, 2, 2), torch.Generator())
        tensor([0, 0, 0, 0])
    """
    _check_maps(attention)
    # The largest of independent exponential rates is a draw from the weights: torch.multinomial on a CPU does the same
    # with the same numbers. The weights stay on their device.
    waiting = torch.empty(attention.shape[:2], device="cpu").exponential_(generator=generator)  # (B, C)
    waiting = to_device(waiting, attention.device)
    rates = _unsort(*_first_of_mass(attention)) / waiting if unique else 1 / waiting
    return rates.argmax(dim=1)


def detail_map(attention: Tensor, channels: Tensor | None) -> Tensor:
    """Select the attention map of one channel per image, used to sample an image that magnifies a detail.

    Args:
        attention: (B, C, H, W).
        channels: (B,) integers, in training from `random_channels`. None returns the sum of all channels, by which
            the official code samples at test time.

    Returns:
        (B, H, W).

    Raises:
        ArgumentError: the attention does not have four dimensions, or there is not one channel per image.

    Example:
        >>> import torch
        >>> attention = torch.tensor([[[[3.0, 0.0]], [[1.0, 2.0]]]])
        >>> detail_map(attention, torch.tensor([1])).tolist(), detail_map(attention, None).tolist()
        ([[[1.0, 2.0]]], [[[4.0, 2.0]]])
    """
    _check_maps(attention)
    if channels is None:
        return attention.sum(1)
    batch = attention.shape[0]
    if channels.shape != (batch,):
        raise ArgumentError(
            f"channels {tuple(channels.shape)} do not fit {batch} images", "draw one per image with random_channels"
        )
    return attention[torch.arange(batch, device=attention.device), channels]


def _first_of_mass(attention: Tensor) -> tuple[Tensor, Tensor]:
    """Sort the channels by total mass.

    Returns:
        The order (B, C), and (B, C) bool in this order, True where the previous channel has another mass.
    """
    mass, order = attention.detach().sum((2, 3)).sort(dim=1, stable=True)
    return order, torch.cat([torch.ones_like(mass[:, :1], dtype=torch.bool), mass[:, 1:] != mass[:, :-1]], dim=1)


def _unsort(order: Tensor, flags: Tensor) -> Tensor:
    """Bring flags (B, C) from the sorted order back to the order of the channels."""
    return torch.empty_like(flags).scatter_(1, order, flags)


def _check_maps(maps: Tensor) -> None:
    if maps.dim() != 4 or not maps.numel():
        raise ArgumentError(f"the maps have the shape {tuple(maps.shape)}", "give non-empty maps (B, C, H, W)")


def _check_option(option: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ArgumentError(f"unknown {option} {name!r}", nearest(name, known))

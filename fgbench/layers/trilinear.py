"""Trilinear attention and the maps drawn from it (TASN: Zheng, Fu, Zha and Luo, CVPR 2019).

Where the paper and the official MXNet code (researchmm/tasn) differ, both are here under a name. The code lets no
gradient through the attention: callers that follow it detach the features first.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from fgbench.util.errors import FgbenchError, nearest

Normalisation = Literal["both", "spatial", "relation", "none"]
Reduction = Literal["mean", "unique_sum", "misplaced_unique_sum"]

CODE_SCALE = 7.0
"""The official code's factor on the features inside the spatial softmax; the unfinished PyTorch port has 2."""


def trilinear_attention(features: Tensor, *, normalisation: Normalisation = "both", scale: float = 1.0) -> Tensor:
    """One attention map a channel: a mixture of all channels, by how much each looks at the same places.

    With X the features as a C x N matrix, N = H W, the maps are M(X) = N2(N1(X) X^T) X. N1 (spatial) is a softmax
    over the positions of a channel: it brings all channels to one scale. N2 (relation) is a softmax over each row of
    the C x C matrix, the relations of one channel to all.

    Args:
        features: (B, C, H, W).
        normalisation: `both` is the paper's M(X) and, with a scale of 7, the official code; `none` is the paper's
            M_b(X) = (X X^T) X; `spatial` and `relation` keep only N1 or only N2.
        scale: factor on X inside N1 alone: 1 in the paper, `CODE_SCALE` in the official code.

    Returns:
        (B, C, H, W), not negative where the features are not negative.

    Raises:
        FgbenchError: features not of four dimensions, or an unknown normalisation.
    """
    _check_maps(features)
    _check_known("normalisation", normalisation, get_args(Normalisation))
    x = features.flatten(2)
    glance = torch.softmax(scale * x, dim=2) if normalisation in {"both", "spatial"} else x
    relation = glance @ x.transpose(1, 2)
    if normalisation in {"both", "relation"}:
        relation = torch.softmax(relation, dim=2)
    return (relation @ x).view_as(features)


def structure_map(attention: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """All attention maps of an image in one, from which the sampler draws the image that keeps the whole object.

    Args:
        attention: (B, C, H, W), as from `trilinear_attention`.
        reduction: `mean` over the channels is the paper's A(M). `unique_sum` is what the official code sets out to
            do: of the channels with the same total mass only the first counts. `misplaced_unique_sum` is what it
            does: it finds the duplicates among the sorted masses and drops the channels that stand at those places
            before sorting. The code then squares the map at the image's size: `squared` of `attention_sample`.

    Returns:
        (B, H, W).

    Raises:
        FgbenchError: attention not of four dimensions, or an unknown reduction.
    """
    _check_maps(attention)
    _check_known("reduction", reduction, get_args(Reduction))
    if reduction == "mean":
        return attention.mean(1)
    order, first = _sorted_firsts(attention)
    kept = first if reduction == "misplaced_unique_sum" else _unsorted(order, first)
    return torch.einsum("bc,bchw->bhw", kept.to(attention.dtype), attention)


def random_channels(attention: Tensor, generator: torch.Generator, *, unique: bool = False) -> Tensor:
    """One channel an image, each as likely as the others: the draw behind the paper's R(M).

    Args:
        attention: (B, C, H, W).
        generator: a CPU generator, so that a run draws the same channels on every device.
        unique: of the channels with the same total mass only the first can be drawn, as in the official code, where
            channels that never fire would otherwise win often with one and the same map.

    Returns:
        (B,) integers below C, on the device of the attention.

    Raises:
        FgbenchError: attention not of four dimensions.
    """
    _check_maps(attention)
    chance = _unsorted(*_sorted_firsts(attention)) if unique else attention.new_ones(attention.shape[:2])
    drawn = torch.multinomial(chance.float().cpu(), 1, generator=generator)
    return drawn[:, 0].to(attention.device)


def detail_map(attention: Tensor, channels: Tensor | None) -> Tensor:
    """The attention map of one channel an image, from which the sampler draws the image that magnifies a detail.

    Args:
        attention: (B, C, H, W).
        channels: (B,) integers, in training as from `random_channels`; None for the sum of all channels, which is
            what the official code samples by in test.

    Returns:
        (B, H, W).

    Raises:
        FgbenchError: attention not of four dimensions, or channels not one an image.
    """
    _check_maps(attention)
    if channels is None:
        return attention.sum(1)
    batch = attention.shape[0]
    if channels.shape != (batch,):
        raise FgbenchError(
            f"channels of {tuple(channels.shape)} for {batch} images", "draw one an image with random_channels"
        )
    return attention[torch.arange(batch, device=attention.device), channels]


def _sorted_firsts(attention: Tensor) -> tuple[Tensor, Tensor]:
    """The order of the channels by mass, and at each place of that order whether the mass is met for the first time."""
    mass, order = attention.detach().sum((2, 3)).sort(dim=1, stable=True)
    return order, torch.cat([torch.ones_like(mass[:, :1], dtype=torch.bool), mass[:, 1:] != mass[:, :-1]], dim=1)


def _unsorted(order: Tensor, flags: Tensor) -> Tensor:
    return torch.empty_like(flags).scatter_(1, order, flags)


def _check_maps(maps: Tensor) -> None:
    if maps.dim() != 4 or not maps.numel():
        raise FgbenchError(f"attention over maps of {tuple(maps.shape)}", "give (B, C, H, W), none of them zero")


def _check_known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise FgbenchError(f"unknown {what} {name!r}", nearest(name, known))

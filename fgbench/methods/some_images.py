"""Some of the training images, at equal distances in their order, for a fit that does not need all."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def evenly_spaced(count: int, wanted: int) -> Tensor:
    """Return (count,) bool with `wanted` true values at equal distances, or only true values if `wanted` is larger.

    Example:
        >>> evenly_spaced(5, 3).tolist()
        [True, False, True, False, True]
    """
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[torch.linspace(0, count - 1, min(count, wanted)).round().long()] = True
    return chosen


def of_chosen(batches: Iterable[Tensor], chosen: Tensor) -> Iterator[Tensor]:
    """Yield the chosen images of each batch.

    Args:
        batches: batches (B, 3, H, W) of N images together.
        chosen: (N,) bool.
    """
    start = 0
    for images in batches:
        some = images[chosen[start : start + len(images)].to(images.device)]
        start += len(images)
        if len(some):
            yield some

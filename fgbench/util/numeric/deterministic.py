"""Operations that give the same bits every time, where those of torch do not on a GPU."""

import torch
from torch import Tensor

BLOCK = 512
"""Values that are summed with one matrix product."""


def running_sum(x: Tensor) -> Tensor:
    """Compute the cumulative sums of the rows of (B, N): (B, N).

    On a GPU, `torch.cumsum` adds floating-point numbers in an order that changes from run to run. A product with a
    triangular matrix adds them in a fixed order. On a CPU this is `torch.cumsum`.

    Example:
        >>> import torch
        >>> running_sum(torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([[1., 3., 6.]])
    """
    return x.cumsum(1) if x.device.type == "cpu" else _by_products(x)


def _by_products(x: Tensor, block: int = BLOCK) -> Tensor:
    """Compute the cumulative sums of the rows of (B, N) by matrix products; long rows in blocks."""
    batch, count = x.shape
    if count <= block:
        return x @ torch.ones(count, count, dtype=x.dtype, device=x.device).triu()
    blocks = torch.nn.functional.pad(x, (0, -count % block)).view(-1, block)  # (B * blocks, block)
    sums = _by_products(blocks, block).view(batch, -1, block)
    before = _by_products(sums[:, :, -1], block) - sums[:, :, -1]  # (B, blocks), sum of the blocks before each one
    return (sums + before[:, :, None]).flatten(1)[:, :count]

"""The location softmax, the expectation under it, and the attention penalty (Wu and Wang, arXiv 1709.05769, 3.3)."""

import torch
from torch import Tensor, nn

from fgbench.layers.spatial_lstm import SCALE
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.precision import full_precision


class LocationSoftmax(nn.Module):
    """Equation 3 as a softmax over all locations; the printed denominator lacks exp.

    Args:
        height: of the grid of locations.
        width: of the grid of locations.
        hidden: channels of the state.
        generator: source of the weights U, uniform in +-`scale`.
        scale: of the weights.

    Example:
        >>> import torch
        >>> softmax = LocationSoftmax(height=2, width=2, hidden=3, generator=torch.Generator())
        >>> softmax(torch.zeros(1, 3)).tolist()
        [[[0.25, 0.25], [0.25, 0.25]]]
    """

    def __init__(
        self, *, height: int, width: int, hidden: int, generator: torch.Generator, scale: float = SCALE
    ) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.weight = nn.Parameter(torch.empty(height * width, hidden).uniform_(-scale, scale, generator=generator))

    def extra_repr(self) -> str:
        """Return the sizes for the printed module."""
        return f"height={self.height}, width={self.width}, hidden={self.weight.shape[1]}"

    @full_precision
    def forward(self, h: Tensor) -> Tensor:
        """Compute the attention L of states (B, hidden): (B, H, W), whose sum over the locations is one."""
        logits = self.logits(h)
        return logits.flatten(1).softmax(dim=1).view_as(logits)

    @full_precision
    def logits(self, h: Tensor) -> Tensor:
        """Compute the logits U^T h of the attention.

        Args:
            h: (B, hidden).

        Returns:
            (B, H, W).

        Raises:
            ArgumentError: `h` is not (B, hidden).
        """
        if h.ndim != 2 or h.shape[1] != self.weight.shape[1]:
            raise ArgumentError(f"the state has the shape {tuple(h.shape)}, not (B, {self.weight.shape[1]})")
        return (h @ self.weight.T).view(-1, self.height, self.width)


@full_precision
def printed_expectation(x: Tensor, logits: Tensor) -> Tensor:
    """Compute equations 3 and 4 with the bounds as printed: at (i, j) the sums run over u <= i and v <= j.

    Args:
        x: (B, D, H, W), called B in the paper.
        logits: (B, H, W), U^T h before the softmax; finite.

    Returns:
        (B, D, H, W); at (i, j) the mean of x over u <= i, v <= j under the softmax of the logits there.

    Raises:
        ArgumentError: `x` and `logits` differ in batch, height or width.

    Example:
        >>> import torch
        >>> x = torch.tensor([[[[1.0, 3.0, 8.0]]]])
        >>> printed_expectation(x, torch.zeros(1, 1, 3))
        tensor([[[[1., 2., 4.]]]])
    """
    if x.ndim != 4 or logits.shape != (x.shape[0], *x.shape[2:]):
        raise ArgumentError(f"logits {tuple(logits.shape)} do not fit maps {tuple(x.shape)}")
    mean, total = _running_mean(x, logits, dim=-1)
    return _running_mean(mean, total, dim=-2)[0]


def _running_mean(x: Tensor, logits: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Compute the mean of x up to each position of `dim` under the softmax of the logits, and their log-sum-exp.

    Each step moves the mean towards the next x by its share of the sum so far. Quotients of cumulative sums of
    exp(logits - maximum) would be 0 / 0 wherever a much larger maximum comes later.
    """
    total = logits.logcumsumexp(dim)
    shares = (logits - total).exp().unsqueeze(1).unbind(dim)
    means: list[Tensor] = []
    for item, share in zip(x.unbind(dim), shares, strict=True):
        means.append(torch.lerp(means[-1], item, share) if means else item)
    return torch.stack(means, dim), total


def attention_penalty(attention: Tensor, tau: float) -> Tensor:
    """Compute the second term of equation 5 without its factor lambda: sum over u, v of (tau - L_uv)^2.

    Args:
        attention: (B, H, W), from `LocationSoftmax`.
        tau: the paper requires tau >= K^2 / D and gives no value.

    Returns:
        A scalar, the mean over the batch.

    Raises:
        ArgumentError: `attention` is not (B, H, W).

    Example:
        >>> import torch
        >>> attention_penalty(torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]]), tau=0.5)
        tensor(0.2500)
    """
    if attention.ndim != 3:
        raise ArgumentError(f"the attention has the shape {tuple(attention.shape)}, not (B, H, W)")
    return (tau - attention).square().sum(dim=(1, 2)).mean()

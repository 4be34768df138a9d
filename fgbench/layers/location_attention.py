"""The location softmax of Wu and Wang, what is expected under it, and its penalty (arXiv 1709.05769, section 3.3)."""

import torch
from torch import Tensor, nn

from fgbench.layers.spatial_lstm import SCALE
from fgbench.util.errors import FgbenchError


class LocationSoftmax(nn.Module):
    """Equation 3, read as a softmax over all locations: the printed denominator lacks exp.

    Args:
        height: of the grid of locations.
        width: of the grid of locations.
        hidden: channels of the state.
        generator: draws the weights U, uniform in +-`scale`.
        scale: of the weights.
    """

    def __init__(
        self, *, height: int, width: int, hidden: int, generator: torch.Generator, scale: float = SCALE
    ) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.weight = nn.Parameter(torch.empty(height * width, hidden).uniform_(-scale, scale, generator=generator))

    def extra_repr(self) -> str:
        """The sizes, for the printed module."""
        return f"height={self.height}, width={self.width}, hidden={self.weight.shape[1]}"

    def forward(self, h: Tensor) -> Tensor:
        """The attention L of a state: (B, H, W), which sums to one over the locations; argument as for `logits`."""
        logits = self.logits(h)
        return logits.flatten(1).softmax(dim=1).view_as(logits)

    def logits(self, h: Tensor) -> Tensor:
        """What the attention is the softmax of, U^T h.

        Args:
            h: (B, hidden).

        Returns:
            (B, H, W).

        Raises:
            FgbenchError: `h` has other channels than the layer's.
        """
        if h.ndim != 2 or h.shape[1] != self.weight.shape[1]:
            raise FgbenchError(f"a location softmax over (B, {self.weight.shape[1]}) was given {tuple(h.shape)}")
        return (h @ self.weight.T).view(-1, self.height, self.width)


def printed_expectation(x: Tensor, logits: Tensor) -> Tensor:
    """Equations 3 and 4 with the bounds as printed: at (i, j) the sums run over u <= i and v <= j.

    Args:
        x: (B, D, H, W), what the paper calls B.
        logits: (B, H, W), U^T h before the softmax; finite.

    Returns:
        (B, D, H, W); at (i, j) the mean of x at u <= i, v <= j under the softmax of the logits there.

    Raises:
        FgbenchError: `x` and `logits` differ in batch, height or width.
    """
    if x.ndim != 4 or logits.shape != (x.shape[0], *x.shape[2:]):
        raise FgbenchError(f"logits of {tuple(logits.shape)} do not fit an expectation over {tuple(x.shape)}")
    mean, total = _running_mean(x, logits, dim=-1)
    return _running_mean(mean, total, dim=-2)[0]


def _running_mean(x: Tensor, logits: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The mean of x up to every place of `dim` under the softmax of the logits up to there, and their log-sum-exp.

    Each step moves the mean towards the next x by that one's share of the sum so far. Quotients of cumulative sums of
    exp(logits - maximum) would be 0 / 0 wherever the maximum comes later and is some hundred larger.
    """
    total = logits.logcumsumexp(dim)
    shares = (logits - total).exp().unsqueeze(1).unbind(dim)
    means: list[Tensor] = []
    for item, share in zip(x.unbind(dim), shares, strict=True):
        means.append(torch.lerp(means[-1], item, share) if means else item)
    return torch.stack(means, dim), total


def attention_penalty(attention: Tensor, tau: float) -> Tensor:
    """The second term of equation 5 without its factor lambda: sum over u, v of (tau - L_uv)^2.

    Args:
        attention: (B, H, W), from `LocationSoftmax`.
        tau: the paper asks for tau >= K^2 / D and gives no value.

    Returns:
        A scalar, the mean over the batch.
    """
    return (tau - attention).square().sum(dim=(1, 2)).mean()

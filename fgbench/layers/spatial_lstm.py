"""The two-dimensional LSTM of Wu and Wang (arXiv 1709.05769, equation 2)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fgbench.layers.spatial_scan import spatial_scan
from fgbench.util.errors import FgbenchError, nearest

Gates = Literal["printed", "both"]
Output = Literal["tanh(c*o)", "o*tanh(c)"]

SCALE = 0.08
"""Weights start uniform in +-SCALE in Theis and Bethge's code, from which the paper takes the layer."""


class SpatialLstm(nn.Module):
    """One layer of equation 2 of the paper, over a grid from the upper left to the lower right.

    Gates are stored in the order f^l, i, o, g, f^r: those that read the cell above are then neighbours, and so are
    those that read the cell to the left.

    Args:
        inputs: channels D of the input.
        hidden: channels of the state.
        gates: `printed` lets f^l read only the state above, h_{i-1,j}, and f^r only the state to the left, h_{i,j-1},
            as in equation 2; `both` lets every gate read both, as in Theis and Bethge's code.
        output: h = tanh(c*o) as printed, and as in Theis and Bethge's code; or o*tanh(c), a standard LSTM's.
        bias: a bias for every gate, zero at the start; equation 2 has none, Theis and Bethge's code has.
        generator: draws the weights, uniform in +-`scale`.
        scale: of the weights.

    Raises:
        FgbenchError: `gates` or `output` is no known option.
    """

    def __init__(
        self,
        *,
        inputs: int,
        hidden: int,
        gates: Gates,
        output: Output,
        bias: bool,
        generator: torch.Generator,
        scale: float = SCALE,
    ) -> None:
        super().__init__()
        _known("gates", gates, get_args(Gates))
        _known("output", output, get_args(Output))
        self.inputs, self.hidden, self.gates, self.output = inputs, hidden, gates, output
        read = (4 if gates == "printed" else 5) * hidden

        def draw(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(rows, columns).uniform_(-scale, scale, generator=generator))

        self.weight_x = draw(5 * hidden, inputs)
        self.weight_up = draw(read, hidden)
        self.weight_left = draw(read, hidden)
        self.bias = nn.Parameter(torch.zeros(5 * hidden)) if bias else None

    def extra_repr(self) -> str:
        """The options, for the printed module."""
        return (
            f"inputs={self.inputs}, hidden={self.hidden}, gates={self.gates!r}, output={self.output!r}, "
            f"bias={self.bias is not None}"
        )

    def forward(self, x: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensor:
        """The states h of all cells.

        Args:
            x: (B, D, H, W), what the paper calls I_<ij at every location; see `causal_neighbourhood`.
            h0: (B, hidden), h of every neighbour outside the grid (equation 7); zeros when None.
            c0: (B, hidden), c of every neighbour outside the grid (equation 7); zeros when None.

        Returns:
            (B, hidden, H, W); a view of a tensor that keeps the cells first.

        Raises:
            FgbenchError: `x` has other channels than the layer's, or no location; `h0` or `c0` has another shape.
        """
        if x.ndim != 4 or x.shape[1] != self.inputs or 0 in x.shape[2:]:
            raise FgbenchError(f"a spatial LSTM over (B, {self.inputs}, H, W) was given {tuple(x.shape)}")
        outside = (len(x), self.hidden)
        for name, state in (("h0", h0), ("c0", c0)):
            if state is not None and state.shape != outside:
                raise FgbenchError(f"{name} of a spatial LSTM is {tuple(state.shape)}, not (B, hidden) = {outside}")
        h = spatial_scan(
            x.permute(2, 3, 0, 1),
            self.weight_x,
            self.weight_up,
            self.weight_left,
            self.bias,
            x.new_zeros(outside) if h0 is None else h0,
            x.new_zeros(outside) if c0 is None else c0,
            tanh_last=self.output == "tanh(c*o)",
        )
        return h.permute(2, 3, 0, 1)


def _known(option: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise FgbenchError(f"a spatial LSTM has no {option} {value!r}", nearest(value, values))


def causal_neighbourhood(x: Tensor) -> Tensor:
    """The input I_<ij of equation 2: the four neighbours that precede a location in reading order.

    Args:
        x: (B, D, H, W).

    Returns:
        (B, 4 D, H, W): x at (i-1, j-1), (i-1, j), (i-1, j+1) and (i, j-1), in this order; zeros outside the grid.
    """
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 0))
    corners = ((0, 0), (0, 1), (0, 2), (1, 0))
    return torch.cat([padded[:, :, i : i + height, j : j + width] for i, j in corners], dim=1)

"""The two-dimensional LSTM of Wu and Wang (arXiv 1709.05769, equation 2)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fgbench.layers.spatial_scan import spatial_scan
from fgbench.util.errors import ArgumentError, nearest

Gates = Literal["printed", "both"]
Output = Literal["tanh(c*o)", "o*tanh(c)"]

SCALE = 0.08
"""Initial weights are uniform in +-SCALE in the code of Theis and Bethge, from whom the paper takes the layer."""


class SpatialLstm(nn.Module):
    """One layer of equation 2 of the paper; it scans the grid from the upper left to the lower right.

    Gates are stored in the order f^l, i, o, g, f^r, so that the gates that read the cell above are contiguous, and so
    are those that read the cell to the left.

    Args:
        inputs: channels D of the input.
        hidden: channels of the state.
        gates: `printed` as in equation 2: f^l reads only the state above, h_{i-1,j}, and f^r only the state to the
            left, h_{i,j-1}. `both` as in the code of Theis and Bethge: every gate reads both states.
        output: h = tanh(c*o) as printed and as in the code of Theis and Bethge, or o*tanh(c) as in a standard LSTM.
        bias: add a bias to every gate, initially zero. Equation 2 has none; the code of Theis and Bethge has one.
        generator: source of the weights, uniform in +-`scale`.
        scale: of the weights.

    Raises:
        ArgumentError: `gates` or `output` is unknown.

    Example:
        >>> import torch
        >>> draw = torch.Generator().manual_seed(0)
        >>> lstm = SpatialLstm(inputs=3, hidden=4, gates="printed", output="tanh(c*o)", bias=False, generator=draw)
        >>> lstm(torch.rand(2, 3, 5, 6)).shape
        torch.Size([2, 4, 5, 6])
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
        _check_option("gates", gates, get_args(Gates))
        _check_option("output", output, get_args(Output))
        self.inputs, self.hidden, self.gates, self.output = inputs, hidden, gates, output
        reading = (4 if gates == "printed" else 5) * hidden  # rows of gates that read one of the neighbours

        def draw(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(rows, columns).uniform_(-scale, scale, generator=generator))

        self.weight_x = draw(5 * hidden, inputs)
        self.weight_up = draw(reading, hidden)
        self.weight_left = draw(reading, hidden)
        self.bias = nn.Parameter(torch.zeros(5 * hidden)) if bias else None

    def extra_repr(self) -> str:
        """Return the options for the printed module."""
        return (
            f"inputs={self.inputs}, hidden={self.hidden}, gates={self.gates!r}, output={self.output!r}, "
            f"bias={self.bias is not None}"
        )

    def forward(self, x: Tensor, h0: Tensor | None = None, c0: Tensor | None = None) -> Tensor:
        """Compute the states h of all cells.

        Args:
            x: (B, D, H, W), called I_<ij in the paper; see `causal_neighbourhood`.
            h0: (B, hidden), h of every neighbour outside the grid (equation 7); zeros when None.
            c0: (B, hidden), c of every neighbour outside the grid (equation 7); zeros when None.

        Returns:
            (B, hidden, H, W), a view of a tensor (H, W, B, hidden).

        Raises:
            ArgumentError: `x` is not (B, D, H, W) or has no location, or a state is not (B, hidden).
        """
        if x.ndim != 4 or x.shape[1] != self.inputs or 0 in x.shape[2:]:
            raise ArgumentError(f"the maps have the shape {tuple(x.shape)}, not (B, {self.inputs}, H, W)")
        outside = (len(x), self.hidden)
        for name, state in (("h0", h0), ("c0", c0)):
            if state is not None and state.shape != outside:
                raise ArgumentError(f"{name} has the shape {tuple(state.shape)}, not (B, hidden) = {outside}")
        h = spatial_scan(
            x.permute(2, 3, 0, 1),  # (H, W, B, D)
            self.weight_x,
            self.weight_up,
            self.weight_left,
            self.bias,
            x.new_zeros(outside) if h0 is None else h0,
            x.new_zeros(outside) if c0 is None else c0,
            tanh_last=self.output == "tanh(c*o)",
        )
        return h.permute(2, 3, 0, 1)  # (B, hidden, H, W)


def _check_option(option: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise ArgumentError(f"unknown {option} {value!r} of a spatial LSTM", nearest(value, values))


def causal_neighbourhood(x: Tensor) -> Tensor:
    """Compute the input I_<ij of equation 2: the four neighbours that precede a location in reading order.

    Args:
        x: (B, D, H, W).

    Returns:
        (B, 4 D, H, W): x at (i-1, j-1), (i-1, j), (i-1, j+1) and (i, j-1), in this order; zeros outside the grid.

    Raises:
        ArgumentError: `x` is not (B, D, H, W).

    Example:
        >>> import torch
        >>> x = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
        >>> causal_neighbourhood(x)[0, :, 1, 1]
        tensor([1., 2., 3., 4.])
    """
    if x.ndim != 4:
        raise ArgumentError(f"the maps have the shape {tuple(x.shape)}, not (B, D, H, W)")
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 0))
    corners = ((0, 0), (0, 1), (0, 2), (1, 0))
    return torch.cat([padded[:, :, i : i + height, j : j + width] for i, j in corners], dim=1)

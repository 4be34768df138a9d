"""A spatial LSTM whose cells read a glimpse of the whole image (Wu and Wang, arXiv 1709.05769, equations 2 to 4).

The input of a cell depends on the states of its neighbours, which choose the glimpse. The inputs are therefore not
known beforehand, and `fgbench.layers.spatial_scan` cannot be used: this module computes one anti-diagonal after the
other, with a glimpse at each.
"""

import torch
from torch import Tensor

from fgbench.layers.location_attention import LocationSoftmax
from fgbench.layers.spatial_lstm import SpatialLstm
from fgbench.util.errors import ArgumentError


def glimpse_lstm(
    x: Tensor, lstm: SpatialLstm, locations: LocationSoftmax, h0: Tensor, c0: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the states of all cells; each cell reads the expectation of `x` under its location softmax.

    At (i, j) the logits of equation 3 are U times the mean of h_{i-1,j} and h_{i,j-1}. (The printed h_{i,j} is the
    result of the cell.) Its softmax and the sum of equation 4 run over all locations. The sum is the input of
    equation 2.

    Args:
        x: (B, D, H, W), called B in the paper.
        lstm: the layer, with D inputs.
        locations: the softmax over H x W locations.
        h0: (B, hidden), h outside the grid.
        c0: (B, hidden), c outside the grid.

    Returns:
        States (B, hidden, H, W), and attention (B, H, W): the mean over the cells of their softmax.

    Raises:
        ArgumentError: the layers do not fit the grid or the channels, or a state is not (B, hidden).

    Example:
        >>> import torch
        >>> draw = torch.Generator().manual_seed(0)
        >>> lstm = SpatialLstm(inputs=3, hidden=4, gates="both", output="o*tanh(c)", bias=True, generator=draw)
        >>> locations = LocationSoftmax(height=5, width=6, hidden=4, generator=draw)
        >>> h, attention = glimpse_lstm(torch.rand(2, 3, 5, 6), lstm, locations, torch.zeros(2, 4), torch.zeros(2, 4))
        >>> h.shape, attention.shape
        (torch.Size([2, 4, 5, 6]), torch.Size([2, 5, 6]))
    """
    _check(x, lstm, locations, h0, c0)
    batch, _, height, width = x.shape
    items = x.flatten(2).transpose(1, 2)  # (B, H * W, D)
    # Row i of h and c is the last computed cell of row i of the grid; at the start, the state outside the grid.
    h, c = (state[:, None].expand(-1, height, -1) for state in (h0, c0))  # (B, H, hidden) each
    states: list[Tensor] = []
    attention = x.new_zeros(batch, height * width)
    for diagonal in range(height + width - 1):
        # The rows low to high - 1 have a cell on this diagonal: n = high - low cells.
        low, high = max(0, diagonal - width + 1), min(diagonal, height - 1) + 1
        above = [torch.cat([outside[:, None], s[:, :-1]], dim=1)[:, low:high] for outside, s in ((h0, h), (c0, c))]
        left = h[:, low:high], c[:, low:high]  # (B, n, hidden) each
        # Equation 3 and equation 4: where each cell looks, and what it reads there.
        look = ((above[0] + left[0]) / 2 @ locations.weight.T).softmax(dim=-1)  # (B, n, H * W)
        new_h, new_c = _cell(lstm, look @ items, (above[0], above[1]), left)  # (B, n, hidden) each
        h, c = (torch.cat([s[:, :low], new, s[:, high:]], dim=1) for s, new in ((h, new_h), (c, new_c)))
        states += list(new_h.unbind(dim=1))
        attention = attention + look.sum(dim=1)
    # The states are in the order of the diagonals; bring them into the order of the grid.
    steps = range(height + width - 1)
    order = [(i, d - i) for d in steps for i in range(max(0, d - width + 1), min(d, height - 1) + 1)]
    place = torch.tensor([i * width + j for i, j in order], device=x.device).argsort()
    grid = torch.stack(states, dim=2)[:, :, place].view(batch, -1, height, width)  # (B, hidden, H, W)
    return grid, attention.view(batch, height, width) / (height * width)


def _check(x: Tensor, lstm: SpatialLstm, locations: LocationSoftmax, h0: Tensor, c0: Tensor) -> None:
    grid = locations.height, locations.width
    if x.ndim != 4 or x.shape[1] != lstm.inputs or x.shape[2:] != grid or locations.weight.shape[1] != lstm.hidden:
        raise ArgumentError(
            f"maps {tuple(x.shape)} do not fit a spatial LSTM of {lstm.inputs} inputs and {lstm.hidden} channels with "
            f"a location softmax of {locations.weight.shape[1]} channels over {grid[0]} x {grid[1]} locations"
        )
    for name, state in (("h0", h0), ("c0", c0)):
        if state.shape != (len(x), lstm.hidden):
            raise ArgumentError(f"{name} has the shape {tuple(state.shape)}, not (B, hidden) = {len(x), lstm.hidden}")


def _cell(
    lstm: SpatialLstm, x: Tensor, above: tuple[Tensor, Tensor], left: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Compute equation 2 for cells with inputs x (..., D) and neighbours (h, c), (..., hidden) each."""
    gates = torch.nn.functional.linear(x, lstm.weight_x, lstm.bias)  # (..., 5 * hidden)
    reading, total = len(lstm.weight_up), len(lstm.weight_x)
    from_above, from_left = above[0] @ lstm.weight_up.T, left[0] @ lstm.weight_left.T  # (..., reading)
    if reading < total:
        # The first `reading` gates read the cell above, the last `reading` gates the cell to the left.
        padding = gates.new_zeros(*gates.shape[:-1], total - reading)
        from_above, from_left = torch.cat([from_above, padding], -1), torch.cat([padding, from_left], -1)
    f_l, i, o, g, f_r = (gates + from_above + from_left).chunk(5, dim=-1)
    c = g.tanh() * i.sigmoid() + left[1] * f_r.sigmoid() + above[1] * f_l.sigmoid()
    return ((c * o.sigmoid()).tanh() if lstm.output == "tanh(c*o)" else o.sigmoid() * c.tanh()), c

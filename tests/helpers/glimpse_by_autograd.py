"""The glimpse LSTM by anti-diagonals with the automatic gradient: a reference for values, gradients and kernels."""

import torch
from torch import Tensor

from fgbench.layers.location_attention import LocationSoftmax
from fgbench.layers.spatial_lstm import SpatialLstm


def glimpse_by_autograd(
    x: Tensor, lstm: SpatialLstm, locations: LocationSoftmax, h0: Tensor, c0: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute what `fgbench.layers.glimpse_lstm` computes."""
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

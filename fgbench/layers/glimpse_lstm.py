"""A spatial LSTM whose every cell reads a glimpse of the whole image (Wu and Wang, arXiv 1709.05769, equations 2 to 4).

As a cell needs its neighbours' states to choose where to look, its input is not known beforehand: unlike
`fgbench.layers.spatial_scan`, this goes from anti-diagonal to anti-diagonal with a glimpse at each.
"""

import torch
from torch import Tensor

from fgbench.layers.location_attention import LocationSoftmax
from fgbench.layers.spatial_lstm import SpatialLstm
from fgbench.util.errors import FgbenchError


def glimpse_lstm(
    x: Tensor, lstm: SpatialLstm, locations: LocationSoftmax, h0: Tensor, c0: Tensor
) -> tuple[Tensor, Tensor]:
    """States of all cells, each of which reads the expectation of `x` under the location softmax of its neighbours.

    At (i, j) the logits of equation 3 are U times the mean of h_{i-1,j} and h_{i,j-1} (the printed h_{i,j} is what is
    to be computed), its softmax and the sum of equation 4 run over all locations, and the sum is the input of
    equation 2.

    Args:
        x: (B, D, H, W), what the paper calls B.
        lstm: the layer, for D inputs.
        locations: the softmax, for H x W locations.
        h0: (B, hidden), h outside the grid.
        c0: (B, hidden), c outside the grid.

    Returns:
        (B, hidden, H, W), and (B, H, W), the mean over the cells of where each has looked.

    Raises:
        FgbenchError: the layers do not fit the grid or the channels.
    """
    batch, channels, height, width = x.shape
    fits = (locations.height, locations.width) == (height, width) and locations.weight.shape[1] == lstm.hidden
    if channels != lstm.inputs or not fits:
        raise FgbenchError(
            f"glimpses of {tuple(x.shape)} by an LSTM of {lstm.inputs} inputs and {lstm.hidden} channels, and "
            f"a softmax of {locations.weight.shape[1]} channels over {locations.height} x {locations.width} locations"
        )
    items = x.flatten(2).transpose(1, 2)
    # Row i of these holds the last cell of row i that is done; before the first, the state outside the grid.
    h, c = (state[:, None].expand(-1, height, -1) for state in (h0, c0))
    states: list[Tensor] = []
    looks = x.new_zeros(batch, height * width)
    for diagonal in range(height + width - 1):
        low, high = max(0, diagonal - width + 1), min(diagonal, height - 1) + 1
        above = [torch.cat([outside[:, None], s[:, :-1]], dim=1)[:, low:high] for outside, s in ((h0, h), (c0, c))]
        before = h[:, low:high], c[:, low:high]
        look = ((above[0] + before[0]) / 2 @ locations.weight.T).softmax(dim=-1)
        new_h, new_c = _cell(lstm, look @ items, (above[0], above[1]), before)
        h, c = (torch.cat([s[:, :low], new, s[:, high:]], dim=1) for s, new in ((h, new_h), (c, new_c)))
        states += list(new_h.unbind(dim=1))
        looks = looks + look.sum(dim=1)
    steps = range(height + width - 1)
    order = [(i, d - i) for d in steps for i in range(max(0, d - width + 1), min(d, height - 1) + 1)]
    place = torch.tensor([i * width + j for i, j in order], device=x.device).argsort()
    grid = torch.stack(states, dim=2)[:, :, place].view(batch, -1, height, width)
    return grid, looks.view(batch, height, width) / (height * width)


def _cell(
    lstm: SpatialLstm, x: Tensor, above: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Equation 2 for some cells: x (..., D), and (h, c) of the neighbours, (..., hidden) each."""
    gates = torch.nn.functional.linear(x, lstm.weight_x, lstm.bias)
    read, every = len(lstm.weight_up), len(lstm.weight_x)
    from_above, from_before = above[0] @ lstm.weight_up.T, before[0] @ lstm.weight_left.T
    if read < every:
        nothing = gates.new_zeros(*gates.shape[:-1], every - read)
        from_above, from_before = torch.cat([from_above, nothing], -1), torch.cat([nothing, from_before], -1)
    f_l, i, o, g, f_r = (gates + from_above + from_before).chunk(5, dim=-1)
    c = g.tanh() * i.sigmoid() + before[1] * f_r.sigmoid() + above[1] * f_l.sigmoid()
    return ((c * o.sigmoid()).tanh() if lstm.output == "tanh(c*o)" else o.sigmoid() * c.tanh()), c

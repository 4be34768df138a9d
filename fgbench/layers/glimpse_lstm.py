"""A spatial LSTM whose cells read a glimpse of the whole image (Wu and Wang, arXiv 1709.05769, equations 2 to 4).

The input of a cell depends on the states of its neighbours, which choose the glimpse. The inputs are therefore not
known beforehand, as they are in `fgbench.layers.spatial_scan`. Each anti-diagonal first computes its glimpses. The
order of the cells and of the stored states is that of `fgbench.layers.diagonals`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fgbench.layers.diagonals import by_diagonal, by_row, diagonals, outside_cells, split, stored_cells
from fgbench.layers.location_attention import LocationSoftmax
from fgbench.layers.spatial_lstm import SpatialLstm
from fgbench.layers.spatial_scan import reading_columns
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.matmul import add_product, linear, product, write
from fgbench.util.numeric.precision import without_autocast

aten = torch.ops.aten


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
        States (B, hidden, H, W), and attention (B, H, W): the mean over the cells of their softmax. Both have the type
        of the weights, also under autocast.

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
    # Under autocast x and the states can have half precision; a long recurrence needs the precision of its weights.
    x, h0, c0 = (tensor.to(lstm.weight_x.dtype) for tensor in (x, h0, c0))
    with without_autocast(x.device.type):
        h, attention = _Scan.apply(  # type: ignore[no-untyped-call]
            x.flatten(2).transpose(1, 2).contiguous(),  # (B, H * W, D)
            lstm.weight_x,
            lstm.weight_up,
            lstm.weight_left,
            lstm.bias,
            locations.weight,
            h0,
            c0,
            (height, width),
            lstm.output == "tanh(c*o)",
        )
    return h.view(height, width, batch, -1).permute(2, 3, 0, 1), attention.view(batch, height, width)


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


class _Scan(torch.autograd.Function):
    """Equations 2 to 4 over all cells of a grid, diagonal by diagonal, with a hand-written gradient.

    As in `fgbench.layers.spatial_scan`, every step writes into preallocated memory, and the gradients of the weights
    are products over all cells. This needs fewer and larger kernels than the automatic gradient. Names that start with
    `d` are gradients. N is the number of locations H * W, and n the number of cells of a diagonal.
    """

    @staticmethod
    def forward(
        ctx: Any,
        items: Tensor,
        weight_x: Tensor,
        weight_up: Tensor,
        weight_left: Tensor,
        bias: Tensor | None,
        weight_look: Tensor,
        h0: Tensor,
        c0: Tensor,
        size: tuple[int, int],
        tanh_last: bool,
    ) -> tuple[Tensor, Tensor]:
        batch, count, features = items.shape  # (B, N, D)
        # Stored states (cells * B, hidden), initially those outside the grid, and their views for each diagonal.
        h, c = (state.repeat(stored_cells(size), 1) for state in (h0, c0))
        hs, cs = diagonals(h, size), diagonals(c, size)
        # The softmax, the glimpse and the gates of all cells, diagonal by diagonal: (N * B, ...).
        look, glimpse = items.new_empty(count * batch, count), items.new_empty(count * batch, features)
        gates = items.new_zeros(count * batch, len(weight_x)) if bias is None else bias.repeat(count * batch, 1)
        up, left = reading_columns(weight_up)
        half_look = weight_look / 2  # for the mean of two states
        parts = [split(part, hs) for part in (look, glimpse, gates)]
        for (h_up, h_left, h_here), (c_up, c_left, c_here), look_here, glimpse_here, gate in zip(
            hs, cs, *parts, strict=True
        ):
            # Equation 3: where each cell looks. Equation 4: what it reads there.
            torch.softmax(linear(h_up + h_left, half_look), dim=1, out=look_here)
            write(_by_image(glimpse_here, batch), torch.bmm, _by_image(look_here, batch), items)
            # Equation 2: the gates before their non-linearities, then after them.
            add_product(gate, glimpse_here, weight_x)
            add_product(gate[:, up], h_up, weight_up)
            add_product(gate[:, left], h_left, weight_left)
            f_l, i, o, g, f_r = gate.chunk(5, dim=1)
            gate[:, : 3 * h.shape[1]].sigmoid_()  # f_l, i and o
            g.tanh_()
            f_r.sigmoid_()
            # c = g * i + c_left * f_r + c_up * f_l
            torch.mul(g, i, out=c_here).addcmul_(c_left, f_r).addcmul_(c_up, f_l)
            if tanh_last:
                torch.mul(c_here, o, out=h_here).tanh_()
            else:
                torch.tanh(c_here, out=h_here).mul_(o)
        ctx.save_for_backward(items, weight_x, weight_up, weight_left, weight_look, gates, h, c, look, glimpse)
        ctx.size, ctx.tanh_last, ctx.biased = size, tanh_last, bias is not None
        return by_row(torch.cat([here for _, _, here in hs]), size), look.view(count, batch, count).mean(dim=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, dattention: Tensor) -> tuple[Tensor | None, ...]:
        items, weight_x, weight_up, weight_left, weight_look, gates, h, c, look, glimpse = ctx.saved_tensors
        size, (batch, count, _), hidden = ctx.size, items.shape, h.shape[1]
        dgates, dlogits, dglimpse = torch.empty_like(gates), torch.empty_like(look), torch.zeros_like(glimpse)
        dh, dc = torch.zeros_like(h), torch.zeros_like(c)
        up, left = reading_columns(weight_up)
        half_look, read_back = weight_look / 2, items.transpose(1, 2)
        dlook_outside = (dattention / count)[:, None]  # (B, 1, N)
        hs, cs, dhs, dcs = (diagonals(state, size) for state in (h, c, dh, dc))
        parts = [split(part, hs) for part in (by_diagonal(gradient, size), gates, dgates, look, dlogits, dglimpse)]
        for step in reversed(range(len(hs))):
            outer_dh, gate, dgate, look_here, dlogits_here, dglimpse_here = (part[step] for part in parts)
            f_l, i, o, g, f_r = gate.chunk(5, dim=1)
            df_l, di, do, dg, df_r = dgate.chunk(5, dim=1)
            (_, _, h_here), (c_up, c_left, c_here) = hs[step], cs[step]
            (dh_up, dh_left, dh_here), (dc_up, dc_left, dc_here) = dhs[step], dcs[step]
            # Gradient of the output: the one from outside, plus that of the later diagonals.
            dh_here += outer_dh
            if ctx.tanh_last:
                inner = aten.tanh_backward(dh_here, h_here)
                write(do, torch.mul, inner, c_here)
                dc_here.addcmul_(inner, o)
            else:
                squashed = c_here.tanh()
                write(do, torch.mul, dh_here, squashed)
                dc_here += aten.tanh_backward(dh_here * o, squashed)
            # Gradients of the gates after their non-linearities, and of the neighbours' c.
            for factor, into in ((c_up, df_l), (g, di), (i, dg), (c_left, df_r)):
                write(into, torch.mul, dc_here, factor)
            dc_up.addcmul_(dc_here, f_l)
            dc_left.addcmul_(dc_here, f_r)
            # Gradients of the gates before their non-linearities, and of the neighbours' h.
            for part in (slice(0, 3 * hidden), slice(4 * hidden, 5 * hidden)):  # f_l, i and o; f_r
                aten.sigmoid_backward.grad_input(dgate[:, part], gate[:, part], grad_input=dgate[:, part])
            aten.tanh_backward.grad_input(dg, g, grad_input=dg)
            add_product(dh_up, dgate[:, up], weight_up.T)
            add_product(dh_left, dgate[:, left], weight_left.T)
            # Gradients of the glimpse, of the softmax (N values for each cell), of its logits, and of the mean h.
            add_product(dglimpse_here, dgate, weight_x.T)
            dlook = torch.empty_like(look_here)
            products = _by_image(dglimpse_here, batch), read_back
            write(_by_image(dlook, batch), torch.baddbmm, dlook_outside, *products)  # (B, n, N)
            aten._softmax_backward_data.out(dlook, look_here, 1, dlook.dtype, grad_input=dlogits_here)
            add_product(dh_up, dlogits_here, half_look.T)
            add_product(dh_left, dlogits_here, half_look.T)
        h_up, h_left = (torch.cat([views[side] for views in hs]) for side in (0, 1))
        return (
            torch.bmm(look.view(count, batch, count).permute(1, 2, 0), _by_image(dglimpse, batch)),
            product(dgates.T, glimpse),
            product(dgates[:, up].T, h_up),
            product(dgates[:, left].T, h_left),
            dgates.sum(dim=0) if ctx.biased else None,
            product(dlogits.T, h_up + h_left) / 2,
            torch.stack(outside_cells(dh, size)).sum(dim=0),
            torch.stack(outside_cells(dc, size)).sum(dim=0),
            None,
            None,
        )


def _by_image(cells: Tensor, batch: int) -> Tensor:
    """View rows (n * B, D) as (B, n, D)."""
    return cells.view(-1, batch, cells.shape[1]).transpose(0, 1)

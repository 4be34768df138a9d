"""The recurrence of the two-dimensional LSTM over all cells of a grid, one anti-diagonal after the other.

A cell reads the cell above it and the cell to its left, so the cells of one anti-diagonal do not need each other: the
grid takes H + W - 1 steps, not H * W. States are stored one diagonal after the other, each with the cells outside the
grid that the next diagonal reads. A stored diagonal has then one cell more than the next diagonal has in the grid:
without its last cell it lists the neighbours above, without its first cell the neighbours to the left.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fgbench.util.numeric.matmul import linear, product


def spatial_scan(
    x: Tensor,
    weight_x: Tensor,
    weight_up: Tensor,
    weight_left: Tensor,
    bias: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    *,
    tanh_last: bool,
) -> Tensor:
    """Equation 2 of Wu and Wang; `fgbench.layers.spatial_lstm.SpatialLstm` checks what it is given and calls this.

    The gates are stored in the order f^l, i, o, g, f^r, `hidden` rows each.

    Args:
        x: (H, W, B, D).
        weight_x: (5 * hidden, D).
        weight_up: (R, hidden), what the first R rows of gates read of the state above.
        weight_left: (R, hidden), what the last R rows of gates read of the state to the left.
        bias: (5 * hidden,), or None.
        h0: (B, hidden), h outside the grid.
        c0: (B, hidden), c outside the grid.
        tanh_last: h = tanh(c*o), not o*tanh(c).

    Returns:
        (H, W, B, hidden), h of every cell.
    """
    height, width = x.shape[:2]
    # Under autocast x and the states may be of half precision; a long recurrence keeps to that of its weights.
    x, h0, c0 = (given.to(weight_x.dtype) for given in (x, h0, c0))
    with torch.autocast(x.device.type, enabled=False):
        h: Tensor = _Scan.apply(  # type: ignore[no-untyped-call]
            x.flatten(0, 1), weight_x, weight_up, weight_left, bias, h0, c0, (height, width), tanh_last
        )
    return h.view(height, width, *h0.shape)


class _Scan(torch.autograd.Function):
    """Equation 2 over all cells of a grid, diagonal by diagonal, with its gradient by hand.

    By hand, because the gradients of the weights are then one product over all cells, and because every step then
    writes into memory that was set aside before. In the names below `d` is a gradient: `dh` is that of h.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_x: Tensor,
        weight_up: Tensor,
        weight_left: Tensor,
        bias: Tensor | None,
        h0: Tensor,
        c0: Tensor,
        size: tuple[int, int],
        tanh_last: bool,
    ) -> Tensor:
        gates = linear(_by_diagonal(x, size), weight_x, bias)
        h, c = (state.repeat(_stored(size), 1) for state in (h0, c0))
        up, left = _readers(weight_up)
        hs, cs = _diagonals(h, size), _diagonals(c, size)
        for gate, (h_up, h_left, h_here), (c_up, c_left, c_here) in zip(_split(gates, hs), hs, cs, strict=True):
            gate[:, up] += linear(h_up, weight_up)
            gate[:, left] += linear(h_left, weight_left)
            f_l, i, o, g, f_r = gate.chunk(5, dim=1)
            for sigmoid in (f_l, i, o, f_r):
                sigmoid.sigmoid_()
            g.tanh_()
            torch.mul(g, i, out=c_here).addcmul_(c_left, f_r).addcmul_(c_up, f_l)
            if tanh_last:
                torch.mul(c_here, o, out=h_here).tanh_()
            else:
                torch.tanh(c_here, out=h_here).mul_(o)
        ctx.save_for_backward(x, weight_x, weight_up, weight_left, gates, h, c)
        ctx.size, ctx.tanh_last, ctx.biased = size, tanh_last, bias is not None
        return _by_row(torch.cat([here for _, _, here in hs]), size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_x, weight_up, weight_left, gates, h, c = ctx.saved_tensors
        size = ctx.size
        dgates, dh, dc = torch.empty_like(gates), torch.zeros_like(h), torch.zeros_like(c)
        up, left = _readers(weight_up)
        hs, cs, dhs, dcs = (_diagonals(state, size) for state in (h, c, dh, dc))
        given, gate_parts, dgate_parts = (_split(part, hs) for part in (_by_diagonal(gradient, size), gates, dgates))
        for step in reversed(range(len(hs))):
            gate, dgate = gate_parts[step], dgate_parts[step]
            f_l, i, o, g, f_r = gate.chunk(5, dim=1)
            df_l, di, do, dg, df_r = dgate.chunk(5, dim=1)
            (_, _, h_here), (c_up, c_left, c_here) = hs[step], cs[step]
            (dh_up, dh_left, dh_here), (dc_up, dc_left, dc_here) = dhs[step], dcs[step]
            dh_here += given[step]
            if ctx.tanh_last:
                inner = dh_here * (1 - h_here.square())
                torch.mul(inner, c_here, out=do)
                dc_here.addcmul_(inner, o)
            else:
                squashed = c_here.tanh()
                torch.mul(dh_here, squashed, out=do)
                dc_here.addcmul_(dh_here * o, 1 - squashed.square())
            for factor, into in ((c_up, df_l), (g, di), (i, dg), (c_left, df_r)):
                torch.mul(dc_here, factor, out=into)
            dc_up.addcmul_(dc_here, f_l)
            dc_left.addcmul_(dc_here, f_r)
            for sigmoid, into in ((f_l, df_l), (i, di), (o, do), (f_r, df_r)):
                into.mul_(sigmoid).mul_(1 - sigmoid)
            dg.mul_(1 - g.square())
            dh_up += product(dgate[:, up], weight_up)
            dh_left += product(dgate[:, left], weight_left)
            for done in (dh_here, dc_here):  # only the cells outside the grid are left for the sums below
                done.zero_()
        return (
            _by_row(product(dgates, weight_x), size) if ctx.needs_input_grad[0] else None,
            product(dgates.T, _by_diagonal(x, size)),
            product(dgates[:, up].T, torch.cat([above for above, _, _ in hs])),
            product(dgates[:, left].T, torch.cat([before for _, before, _ in hs])),
            dgates.sum(dim=0) if ctx.biased else None,
            dh.view(_stored(size), x.shape[1], h.shape[1]).sum(dim=0),
            dc.view(_stored(size), x.shape[1], h.shape[1]).sum(dim=0),
            None,
            None,
        )


def _readers(weight: Tensor) -> tuple[slice, slice]:
    """The columns of the gates that read the cell above, and of those that read the cell to the left."""
    read, hidden = weight.shape
    return slice(0, read), slice(5 * hidden - read, 5 * hidden)


def _stored(size: tuple[int, int]) -> int:
    """The cells of a grid with the row above it and the column to the left of it, without the corner."""
    height, width = size
    return (height + 1) * (width + 1) - 1


def _diagonals(states: Tensor, size: tuple[int, int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Views of stored states (cells * B, hidden), for every diagonal: the cells above, those to the left, its own."""
    height, width = size
    batch = len(states) // _stored(size)
    counts = [min(d, height - 1) - max(d - width + 1, 0) + 1 for d in range(height + width - 1)]
    stored = torch.split(states, [batch * (count + 1) for count in counts] + [batch])
    views = []
    for d, count in enumerate(counts):
        first = batch if d < width - 1 else 0  # after the cell above the grid, if the next diagonal reads it
        views.append((stored[d][:-batch], stored[d][batch:], stored[d + 1][first : first + batch * count]))
    return views


def _split(cells: Tensor, diagonals: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, ...]:
    return torch.split(cells, [len(here) for _, _, here in diagonals])


def _order(size: tuple[int, int], device: torch.device) -> Tensor:
    """The cells of a grid, numbered row by row, in the order of the diagonals and from top to bottom in each."""
    height, width = size
    rows, columns = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)
    return ((rows + columns) * height + rows).flatten().argsort()


def _by_diagonal(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """(H * W, B, D), row by row, as (H * W * B, D), diagonal by diagonal."""
    return cells.index_select(0, _order(size, cells.device)).flatten(0, 1)


def _by_row(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `_by_diagonal`."""
    height, width = size
    cells = cells.view(height * width, -1, cells.shape[1])
    return cells.index_select(0, _order(size, cells.device).argsort())

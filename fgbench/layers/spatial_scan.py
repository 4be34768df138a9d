"""The recurrence of the two-dimensional LSTM over all cells of a grid, computed by anti-diagonals.

The order of the cells and of the stored states is that of `fgbench.layers.diagonals`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fgbench.layers.diagonals import are_maps, by_diagonal, by_row, diagonals, split, stored_cells, to_maps
from fgbench.util.numeric.matmul import add_product, linear, product, transposed_product, write
from fgbench.util.numeric.precision import without_autocast


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
    """Compute equation 2 of Wu and Wang over a grid; `fgbench.layers.spatial_lstm.SpatialLstm` checks the arguments.

    The gates are stored in the order f^l, i, o, g, f^r, `hidden` rows each.

    Args:
        x: (H, W, B, D).
        weight_x: (5 * hidden, D).
        weight_up: (R, hidden), weights of the state above in the first R rows of the gates.
        weight_left: (R, hidden), weights of the state to the left in the last R rows of the gates.
        bias: (5 * hidden,), or None.
        h0: (B, hidden), h outside the grid.
        c0: (B, hidden), c outside the grid.
        tanh_last: h = tanh(c*o) instead of o*tanh(c).

    Returns:
        (H, W, B, hidden), h of every cell.

    Example:
        With zero weights all sigmoid gates are 1/2 and g is 0, so that c is the mean of the two neighbours and
        h = tanh(c) / 2.

        >>> import torch
        >>> x, weight_x, weight = torch.zeros(2, 2, 1, 1), torch.zeros(5, 1), torch.zeros(5, 1)
        >>> h0, c0 = torch.zeros(1, 1), torch.ones(1, 1)
        >>> spatial_scan(x, weight_x, weight, weight, None, h0, c0, tanh_last=False).flatten()
        tensor([0.3808, 0.3808, 0.3808, 0.3808])
    """
    height, width = x.shape[:2]
    # Under autocast x and the states can have half precision; a long recurrence needs the precision of its weights.
    x, h0, c0 = (tensor.to(weight_x.dtype) for tensor in (x, h0, c0))
    with without_autocast(x.device.type):
        h: Tensor = _Scan.apply(  # type: ignore[no-untyped-call]
            x.flatten(0, 1), weight_x, weight_up, weight_left, bias, h0, c0, (height, width), tanh_last
        )
    return h.view(height, width, *h0.shape)


class _Scan(torch.autograd.Function):
    """Equation 2 over all cells of a grid, diagonal by diagonal, with a hand-written gradient.

    With the hand-written gradient, the gradients of the weights are one product over all cells, and every step writes
    into preallocated memory. Names that start with `d` are gradients: `dh` is the gradient of h.
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
        # The part of all gates that reads the input: (H * W * B, 5 * hidden), diagonal by diagonal.
        gates = linear(by_diagonal(x, size), weight_x, bias)
        # Stored states (cells * B, hidden), initially those outside the grid, and their views for each diagonal.
        h, c = (state.repeat(stored_cells(size), 1) for state in (h0, c0))
        up, left = reading_columns(weight_up)
        sigmoids = _sigmoid_columns(h)
        hs, cs = diagonals(h, size), diagonals(c, size)
        for gate, (h_up, h_left, h_here), (c_up, c_left, c_here) in zip(split(gates, hs), hs, cs, strict=True):
            # Add the part of the gates that reads the neighbours, then apply the non-linearities in place.
            add_product(gate[:, up], h_up, weight_up)
            add_product(gate[:, left], h_left, weight_left)
            f_l, i, o, g, f_r = gate.chunk(5, dim=1)
            for columns in sigmoids:
                gate[:, columns].sigmoid_()
            g.tanh_()
            # c = g * i + c_left * f_r + c_up * f_l
            torch.mul(g, i, out=c_here).addcmul_(c_left, f_r).addcmul_(c_up, f_l)
            if tanh_last:
                torch.mul(c_here, o, out=h_here).tanh_()
            else:
                torch.tanh(c_here, out=h_here).mul_(o)
        ctx.save_for_backward(x, weight_x, weight_up, weight_left, gates, h, c)
        ctx.size, ctx.tanh_last, ctx.biased = size, tanh_last, bias is not None
        return by_row(torch.cat([here for _, _, here in hs]), size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_x, weight_up, weight_left, gates, h, c = ctx.saved_tensors
        size = ctx.size
        dgates, dh, dc = torch.empty_like(gates), torch.zeros_like(h), torch.zeros_like(c)
        up, left = reading_columns(weight_up)
        sigmoids = _sigmoid_columns(h)
        hs, cs, dhs, dcs = (diagonals(state, size) for state in (h, c, dh, dc))
        outer_dhs, gate_parts, dgate_parts = (split(part, hs) for part in (by_diagonal(gradient, size), gates, dgates))
        for step in reversed(range(len(hs))):
            gate, dgate = gate_parts[step], dgate_parts[step]
            f_l, i, o, g, f_r = gate.chunk(5, dim=1)
            df_l, di, do, dg, df_r = dgate.chunk(5, dim=1)
            (_, _, h_here), (c_up, c_left, c_here) = hs[step], cs[step]
            (dh_up, dh_left, dh_here), (dc_up, dc_left, dc_here) = dhs[step], dcs[step]
            # Gradient of the output: the one from outside, plus that of the later diagonals.
            dh_here += outer_dhs[step]
            if ctx.tanh_last:
                inner = dh_here * (1 - h_here.square())
                write(do, torch.mul, inner, c_here)
                dc_here.addcmul_(inner, o)
            else:
                squashed = c_here.tanh()
                write(do, torch.mul, dh_here, squashed)
                dc_here.addcmul_(dh_here * o, 1 - squashed.square())
            # Gradients of the gates after their non-linearities, and of the neighbours' c.
            for factor, into in ((c_up, df_l), (g, di), (i, dg), (c_left, df_r)):
                write(into, torch.mul, dc_here, factor)
            dc_up.addcmul_(dc_here, f_l)
            dc_left.addcmul_(dc_here, f_r)
            # Gradients of the gates before their non-linearities, and of the neighbours' h.
            for columns in sigmoids:
                dgate[:, columns].mul_(gate[:, columns]).mul_(1 - gate[:, columns])
            dg.mul_(1 - g.square())
            add_product(dh_up, dgate[:, up], weight_up.T)
            add_product(dh_left, dgate[:, left], weight_left.T)
            # The sums below must contain only the cells outside the grid.
            for finished in (dh_here, dc_here):
                finished.zero_()
        dx = by_row(product(dgates, weight_x), size) if ctx.needs_input_grad[0] else None
        if dx is not None and are_maps(x):
            dx = to_maps(dx)
        return (
            dx,
            transposed_product(dgates, by_diagonal(x, size)),
            transposed_product(dgates[:, up], torch.cat([h_up for h_up, _, _ in hs])),
            transposed_product(dgates[:, left], torch.cat([h_left for _, h_left, _ in hs])),
            dgates.sum(dim=0) if ctx.biased else None,
            dh.view(stored_cells(size), x.shape[1], h.shape[1]).sum(dim=0),
            dc.view(stored_cells(size), x.shape[1], h.shape[1]).sum(dim=0),
            None,
            None,
        )


def _sigmoid_columns(h: Tensor) -> tuple[slice, slice]:
    """Return the columns of the gates with a sigmoid: f^l, i and o, which are contiguous, and f^r."""
    hidden = h.shape[1]
    return slice(0, 3 * hidden), slice(4 * hidden, 5 * hidden)


def reading_columns(weight: Tensor) -> tuple[slice, slice]:
    """Return the columns of the gates that read the cell above, and of those that read the cell to the left.

    Args:
        weight: (reading, hidden), of `hidden` channels read by 5 * hidden gates.

    Example:
        >>> import torch
        >>> reading_columns(torch.zeros(15, 3))
        (slice(0, 15, None), slice(0, 15, None))
    """
    reading, hidden = weight.shape
    return slice(0, reading), slice(5 * hidden - reading, 5 * hidden)

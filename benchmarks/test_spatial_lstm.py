"""The spatial LSTM over 28 x 28 cells, forward and backward, compared with the same equation cell by cell.

The state has 512 values, as in the paper, or 128. Every implementation needs the same matrix products: 128 and 17 GFLOP
with gradients. At 150 GFLOP/s, the products of 128 values take 0.12 s, and fgbench takes 0.18 s; the rest are two
transpositions of the maps and 55 diagonals of element-wise operations. This bounds its ratio to another implementation.
Indexing a cell of the inputs costs autograd a pass over all inputs in the backward pass; without it (`unbind`), cell by
cell takes between two and three times the time of fgbench.
"""

import pytest
import torch
from race import FGBENCH, Floor, Race

from fgbench.layers.spatial_lstm import SpatialLstm

BATCH, INPUTS, SIDE = 8, 512, 28
CELLS, UNBOUND = "cell by cell", "cell by cell, inputs unbound first"


def problem(hidden):
    generator = torch.Generator().manual_seed(0)
    layer = SpatialLstm(
        inputs=INPUTS, hidden=hidden, gates="printed", output="tanh(c*o)", bias=False, generator=generator
    )
    return layer, torch.randn(BATCH, INPUTS, SIDE, SIDE, generator=generator)


def loop(layer, x, unbind):
    """Compute Equation 2 cell by cell, with one product for all inputs and the gradient by autograd."""
    gates = torch.einsum("gd,bdhw->hwbg", layer.weight_x, x)
    cells = [row.unbind() for row in gates.unbind()] if unbind else gates
    outside = x.new_zeros(BATCH, layer.hidden)
    h, c = {}, {}
    for i in range(SIDE):
        for j in range(SIDE):
            inputs = (cells[i][j] if unbind else gates[i, j]).chunk(5, dim=1)
            above = (h.get((i - 1, j), outside) @ layer.weight_up.T).chunk(4, dim=1)
            before = (h.get((i, j - 1), outside) @ layer.weight_left.T).chunk(4, dim=1)
            f_l, f_r = (inputs[0] + above[0]).sigmoid(), (inputs[4] + before[3]).sigmoid()
            enter, o = ((inputs[k] + above[k] + before[k - 1]).sigmoid() for k in (1, 2))
            g = (inputs[3] + above[3] + before[2]).tanh()
            c[i, j] = g * enter + c.get((i, j - 1), outside) * f_r + c.get((i - 1, j), outside) * f_l
            h[i, j] = (c[i, j] * o).tanh()
    return torch.stack(list(h.values()), dim=2).unflatten(2, (SIDE, SIDE))


def race(hidden, at_least, rounds, peer_rounds, warm):
    def step(forward):
        """Return a forward and backward pass that gives the state and the gradient of the input."""

        def prepare():
            layer, x = problem(hidden)

            def work():
                layer.zero_grad()
                inputs = x.detach().requires_grad_()
                h = forward(layer, inputs)
                h.square().sum().backward()
                return h.detach(), inputs.grad

            return work

        return prepare

    def agree(result, peer_result):
        # Rounding in float32 adds up over the recurrence; the tests compare in float64.
        assert (result[0] - peer_result[0]).abs().max() < 1e-2
        assert (result[1] - peer_result[1]).norm() < 2e-2 * peer_result[1].norm()

    products = 5 * INPUTS + 2 * 4 * hidden
    return Race(
        f"spatial LSTM forward and backward, {BATCH} x {INPUTS} x {SIDE} x {SIDE}, {hidden} hidden",
        {
            FGBENCH: step(lambda layer, x: layer(x)),
            CELLS: step(lambda layer, x: loop(layer, x, unbind=False)),
            UNBOUND: step(lambda layer, x: loop(layer, x, unbind=True)),
        },
        at_least=at_least,
        agree=agree,
        rounds=rounds,
        peer_rounds={CELLS: peer_rounds, UNBOUND: peer_rounds},
        warm=warm,
        floor=Floor(
            flop=3 * 2 * BATCH * SIDE**2 * products * hidden,
            counts="matrix products of the forward pass and, twice as many, of the backward pass",
        ),
    )


NARROW = race(128, {CELLS: 9}, rounds=5, peer_rounds=2, warm=True)
PAPER = race(512, {CELLS: 12}, rounds=3, peer_rounds=1, warm=False)


@pytest.mark.parametrize("who", NARROW.names)
def test_spatial_lstm(row, who):
    row(NARROW, who)


@pytest.mark.parametrize("who", PAPER.names)
def test_spatial_lstm_of_the_paper(row, who):
    row(PAPER, who)

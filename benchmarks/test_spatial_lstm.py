"""The spatial LSTM forward and backward at the paper's size, beside a loop over the cells.

Both need the same 128 GFLOP of matrix products (13 products of 512 x 512 for each of 6272 cells, three times with the
gradients), which bounds the ratio by what one thread's BLAS can do: at 90 GFLOP/s no layout is under 1.4 s.
"""

import torch

from fgbench.layers.spatial_lstm import SpatialLstm

BATCH, HIDDEN, SIDE = 8, 512, 28
GROUP = f"spatial LSTM with gradient, {BATCH} x {HIDDEN} x {SIDE} x {SIDE}"


def problem():
    generator = torch.Generator().manual_seed(0)
    layer = SpatialLstm(
        inputs=HIDDEN, hidden=HIDDEN, gates="printed", output="tanh(c*o)", bias=False, generator=generator
    )
    return layer, torch.randn(BATCH, HIDDEN, SIDE, SIDE, generator=generator)


def loop(layer, x):
    """A step for every cell: three products for its gates, and autograd for the rest."""
    outside = x.new_zeros(BATCH, HIDDEN)
    h, c = {}, {}
    for i in range(SIDE):
        for j in range(SIDE):
            inputs = (x[:, :, i, j] @ layer.weight_x.T).chunk(5, dim=1)
            above = (h.get((i - 1, j), outside) @ layer.weight_up.T).chunk(4, dim=1)
            before = (h.get((i, j - 1), outside) @ layer.weight_left.T).chunk(4, dim=1)
            f_l, f_r = (inputs[0] + above[0]).sigmoid(), (inputs[4] + before[3]).sigmoid()
            enter, o = ((inputs[k] + above[k] + before[k - 1]).sigmoid() for k in (1, 2))
            g = (inputs[3] + above[3] + before[2]).tanh()
            c[i, j] = g * enter + c.get((i, j - 1), outside) * f_r + c.get((i - 1, j), outside) * f_l
            h[i, j] = (c[i, j] * o).tanh()
    return torch.stack(list(h.values()), dim=2).unflatten(2, (SIDE, SIDE))


def train(forward, layer, x):
    """One step of training without the update: the state and the gradient of the input."""
    layer.zero_grad()
    x = x.detach().requires_grad_()
    h = forward(x)
    h.square().sum().backward()
    return h.detach(), x.grad


def test_fgbench(benchmark):
    layer, x = problem()
    benchmark.group = GROUP
    h, gradient = benchmark.pedantic(train, (layer, layer, x), rounds=5, warmup_rounds=1)
    assert torch.isfinite(gradient).all()
    # In float32 the sums of a long recurrence differ by their order; the tests compare in float64.
    assert (h - loop(layer, x).detach()).abs().max() < 1e-2


def test_loop_over_cells(benchmark):
    layer, x = problem()
    benchmark.group = GROUP
    h, gradient = benchmark.pedantic(train, (lambda x: loop(layer, x), layer, x), rounds=2)
    assert h.shape == gradient.shape == x.shape

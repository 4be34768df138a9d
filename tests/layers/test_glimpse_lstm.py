import math
from itertools import product

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.glimpse_lstm import glimpse_lstm
from fgbench.layers.location_attention import LocationSoftmax
from fgbench.layers.spatial_lstm import SpatialLstm
from fgbench.util.errors import ArgumentError

OPTIONS = list(product(("printed", "both"), ("tanh(c*o)", "o*tanh(c)"), (False, True)))
SIZES = [(1, 1), (1, 5), (5, 1), (3, 4), (4, 2), (3, 3)]
GATE_ORDER = ("f_l", "i", "o", "g", "f_r")
READS_UP = {"printed": GATE_ORDER[:4], "both": GATE_ORDER}
READS_LEFT = {"printed": GATE_ORDER[1:], "both": GATE_ORDER}


def random(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layers(size, gates="printed", output="tanh(c*o)", bias=True, inputs=3, hidden=4):
    """Both layers in float64, with weights large enough for gates and glimpses to differ, and non-zero biases."""
    draw = torch.Generator().manual_seed(0)
    lstm = SpatialLstm(inputs=inputs, hidden=hidden, gates=gates, output=output, bias=bias, generator=draw).double()
    locations = LocationSoftmax(height=size[0], width=size[1], hidden=hidden, generator=draw).double()
    with torch.no_grad():
        for number, weight in enumerate([*lstm.parameters(), *locations.parameters()]):
            weight.copy_(random(*weight.shape, seed=100 + number, scale=2.0 if weight is locations.weight else 0.6))
    return lstm, locations


def inputs_of(size, inputs=3, hidden=4):
    return random(2, inputs, *size), random(2, hidden, seed=1), random(2, hidden, seed=2)


def naive(x, lstm, locations, h0, c0):
    """Equations 3, 4 and 2 in this order, cell by cell, location by location and gate by gate."""
    batch, _, height, width = x.shape
    hidden, places = lstm.hidden, list(product(range(height), range(width)))

    def rows(weight, names):
        return {name: weight[k * hidden : (k + 1) * hidden] for k, name in enumerate(names)}

    W_x = rows(lstm.weight_x, GATE_ORDER)
    W_up = rows(lstm.weight_up, READS_UP[lstm.gates])
    W_left = rows(lstm.weight_left, READS_LEFT[lstm.gates])
    h, c, attention = {}, {}, {}
    for n in range(batch):
        for i, j in places:
            h_up, c_up = (s[n, i - 1, j] if i > 0 else s0[n] for s, s0 in ((h, h0), (c, c0)))
            h_left, c_left = (s[n, i, j - 1] if j > 0 else s0[n] for s, s0 in ((h, h0), (c, c0)))
            scores = [(locations.weight[k] * (h_up + h_left) / 2).sum() for k in range(len(places))]
            total = sum(score.exp() for score in scores)
            weights = {place: score.exp() / total for place, score in zip(places, scores, strict=True)}
            glimpse = sum(weights[u, v] * x[n, :, u, v] for u, v in places)
            gate = {}
            for k, name in enumerate(GATE_ORDER):
                value = W_x[name] @ glimpse
                if name in W_up:
                    value = value + W_up[name] @ h_up
                if name in W_left:
                    value = value + W_left[name] @ h_left
                if lstm.bias is not None:
                    value = value + lstm.bias[k * hidden : (k + 1) * hidden]
                gate[name] = value.tanh() if name == "g" else value.sigmoid()
            state = gate["g"] * gate["i"] + c_left * gate["f_r"] + c_up * gate["f_l"]
            c[n, i, j] = state
            h[n, i, j] = (state * gate["o"]).tanh() if lstm.output == "tanh(c*o)" else gate["o"] * state.tanh()
            for place in places:
                attention[n, place] = attention.get((n, place), 0) + weights[place] / len(places)
    states = torch.stack([h[n, i, j] for n in range(batch) for i, j in places])
    attention = torch.stack([attention[n, place] for n in range(batch) for place in places])
    return states.view(batch, height, width, hidden).permute(0, 3, 1, 2), attention.view(batch, height, width)


@pytest.mark.parametrize(("gates", "output", "bias"), OPTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_values_and_gradients_equal_the_equations(gates, output, bias, size):
    lstm, locations = layers(size, gates, output, bias)
    leaves = [leaf.requires_grad_() for leaf in inputs_of(size)]
    x, h0, c0 = leaves
    leaves += [*lstm.parameters(), *locations.parameters()]
    (h, attention), expected = glimpse_lstm(x, lstm, locations, h0, c0), naive(x, lstm, locations, h0, c0)
    assert h.shape == (2, 4, *size)
    assert attention.shape == (2, *size)
    towards = random(2, 4, *size, seed=3), random(2, *size, seed=4)
    for result, reference in zip((h, attention), expected, strict=True):
        assert torch.allclose(result, reference, rtol=0, atol=1e-9)
    result, reference = (
        torch.autograd.grad(sum((o * t).sum() for o, t in zip(out, towards, strict=True)), leaves)
        for out in ((h, attention), expected)
    )
    for gradient, naive_gradient in zip(result, reference, strict=True):
        assert torch.allclose(gradient, naive_gradient, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("gates", "output", "bias"), OPTIONS)
def test_gradcheck_over_input_states_and_weights(gates, output, bias):
    lstm, locations = layers((2, 3), gates, output, bias, inputs=2, hidden=2)
    both = torch.nn.ModuleList([lstm, locations])
    names = [name for name, _ in both.named_parameters()]

    class Run(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.both = both

        def forward(self, x, h0, c0):
            return glimpse_lstm(x, *self.both, h0, c0)

    run, weights = Run(), [weight.detach().clone() for weight in both.parameters()]
    leaves = [leaf.requires_grad_() for leaf in (*inputs_of((2, 3), 2, 2), *weights)]
    assert gradcheck(
        lambda x, h0, c0, *w: torch.func.functional_call(
            run, {f"both.{n}": v for n, v in zip(names, w, strict=True)}, (x, h0, c0)
        ),
        leaves,
    )


@pytest.mark.parametrize("size", SIZES)
def test_attention_sums_to_one(size):
    x, h0, c0 = inputs_of(size)
    _, attention = glimpse_lstm(x, *layers(size), h0, c0)
    assert (attention >= 0).all()
    assert torch.allclose(attention.sum(dim=(1, 2)), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("gates", "output", "bias"), OPTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_equal_features_give_the_states_of_the_layer_without_glimpses(gates, output, bias, size):
    """Every glimpse of equal features is the feature at the location of the cell."""
    lstm, locations = layers(size, gates, output, bias)
    x, h0, c0 = inputs_of(size)
    x = x[:, :, :1, :1].expand(-1, -1, *size)
    assert torch.allclose(glimpse_lstm(x, lstm, locations, h0, c0)[0], lstm(x, h0, c0), rtol=0, atol=1e-12)


def test_zero_weights_make_every_cell_read_the_mean():
    lstm, locations = layers((3, 4))
    x, h0, c0 = inputs_of((3, 4))
    torch.nn.init.zeros_(locations.weight)
    h, attention = glimpse_lstm(x, lstm, locations, h0, c0)
    mean = x.mean(dim=(2, 3), keepdim=True).expand_as(x)
    assert torch.allclose(h, lstm(mean, h0, c0), rtol=0, atol=1e-12)
    assert torch.allclose(attention, torch.full_like(attention, 1 / 12))


def test_cell_reads_later_locations_unlike_the_layer_alone():
    lstm, locations = layers((3, 4))
    x, h0, c0 = inputs_of((3, 4))
    changed = x.clone()
    changed[:, :, 2, 3] += 1
    assert torch.equal(lstm(x, h0, c0)[..., 0, 0], lstm(changed, h0, c0)[..., 0, 0])
    before, after = (glimpse_lstm(maps, lstm, locations, h0, c0)[0] for maps in (x, changed))
    assert not torch.allclose(before[..., 0, 0], after[..., 0, 0])


def test_images_of_a_batch_are_independent():
    lstm, locations = layers((3, 4))
    arguments = inputs_of((3, 4))
    whole = glimpse_lstm(arguments[0], lstm, locations, *arguments[1:])
    for n in range(2):
        x, h0, c0 = (argument[n : n + 1] for argument in arguments)
        for one, batch in zip(glimpse_lstm(x, lstm, locations, h0, c0), whole, strict=True):
            assert torch.allclose(one[0], batch[n], rtol=0, atol=1e-12)


def test_one_hot_softmax_stays_finite():
    lstm, locations = layers((2, 3))
    x, h0, c0 = (leaf.requires_grad_() for leaf in inputs_of((2, 3)))
    with torch.no_grad():
        locations.weight *= 1e4
    h, attention = glimpse_lstm(x, lstm, locations, h0, c0)
    assert torch.isfinite(h).all()
    assert math.isclose(attention[0].detach().sum(), 1)
    for gradient in torch.autograd.grad(h.sum(), (x, h0, c0)):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("x", "grid"),
    [((2, 5, 3, 4), (3, 4)), ((2, 3, 4, 4), (3, 4)), ((2, 3, 4, 3), (3, 4)), ((2, 3, 2, 6), (3, 4))],
)
def test_layers_that_do_not_fit_raise(x, grid):
    """Wrong channels; a larger grid; transposed grids; as many locations in other rows and columns."""
    lstm, locations = layers(grid)
    with pytest.raises(ArgumentError, match=r"LSTM of 3 inputs .* over 3 x 4 locations"):
        glimpse_lstm(random(*x), lstm, locations, random(2, 4), random(2, 4))


def test_softmax_of_another_state_size_raises():
    lstm, _ = layers((3, 4))
    _, locations = layers((3, 4), hidden=5)
    with pytest.raises(ArgumentError, match="softmax of 5 channels"):
        glimpse_lstm(random(2, 3, 3, 4), lstm, locations, random(2, 4), random(2, 4))

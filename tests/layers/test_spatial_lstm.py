from itertools import product

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.spatial_lstm import SpatialLstm, causal_neighbourhood
from fgbench.util.errors import ArgumentError

OPTIONS = list(product(("printed", "both"), ("tanh(c*o)", "o*tanh(c)"), (False, True)))
GATE_ORDER = ("f_l", "i", "o", "g", "f_r")
READS_UP = {"printed": GATE_ORDER[:4], "both": GATE_ORDER}
READS_LEFT = {"printed": GATE_ORDER[1:], "both": GATE_ORDER}


def random(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layer(gates="printed", output="tanh(c*o)", bias=True, inputs=3, hidden=4, seed=0):
    """A layer in float64 with weights large enough for the gates to differ, and non-zero biases."""
    lstm = SpatialLstm(
        inputs=inputs,
        hidden=hidden,
        gates=gates,
        output=output,
        bias=bias,
        generator=torch.Generator().manual_seed(seed),
    ).double()
    with torch.no_grad():
        for number, weight in enumerate(lstm.parameters()):
            weight.copy_(random(*weight.shape, seed=100 + number, scale=0.5))
    return lstm


def naive(layer, x, h0, c0):
    """Equation 2, cell by cell and gate by gate."""
    batch, _, height, width = x.shape
    hidden = layer.hidden

    def rows(weight, names):
        return {name: weight[k * hidden : (k + 1) * hidden] for k, name in enumerate(names)}

    W_x = rows(layer.weight_x, GATE_ORDER)
    W_up = rows(layer.weight_up, READS_UP[layer.gates])
    W_left = rows(layer.weight_left, READS_LEFT[layer.gates])
    b = rows(layer.bias, GATE_ORDER) if layer.bias is not None else {}
    h, c = {}, {}
    for n in range(batch):
        for i in range(height):
            for j in range(width):
                h_up, c_up = (s[n, i - 1, j] if i > 0 else s0[n] for s, s0 in ((h, h0), (c, c0)))
                h_left, c_left = (s[n, i, j - 1] if j > 0 else s0[n] for s, s0 in ((h, h0), (c, c0)))
                gate = {}
                for name in GATE_ORDER:
                    total = W_x[name] @ x[n, :, i, j]
                    if name in W_up:
                        total = total + W_up[name] @ h_up
                    if name in W_left:
                        total = total + W_left[name] @ h_left
                    if name in b:
                        total = total + b[name]
                    gate[name] = total.tanh() if name == "g" else total.sigmoid()
                state = gate["g"] * gate["i"] + c_left * gate["f_r"] + c_up * gate["f_l"]
                c[n, i, j] = state
                h[n, i, j] = (state * gate["o"]).tanh() if layer.output == "tanh(c*o)" else gate["o"] * state.tanh()
    stacked = [h[n, i, j] for n in range(batch) for i in range(height) for j in range(width)]
    return torch.stack(stacked).view(batch, height, width, hidden).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("gates", "output", "bias"), OPTIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 5), (5, 2), (4, 4)])
def test_values_and_gradients_equal_equation_2(gates, output, bias, size):
    lstm = layer(gates, output, bias)
    leaves = [x.requires_grad_() for x in (random(2, 3, *size), random(2, 4, seed=1), random(2, 4, seed=2))]
    leaves += list(lstm.parameters())
    towards = random(2, 4, *size, seed=3)
    h, expected = lstm(*leaves[:3]), naive(lstm, *leaves[:3])
    assert h.shape == (2, 4, *size)
    assert torch.allclose(h, expected, rtol=0, atol=1e-9)
    pairs = zip(
        torch.autograd.grad((h * towards).sum(), leaves),
        torch.autograd.grad((expected * towards).sum(), leaves),
        strict=True,
    )
    for gradient, naive_gradient in pairs:
        assert torch.allclose(gradient, naive_gradient, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("gates", "output", "bias"), OPTIONS)
def test_gradcheck_over_input_states_and_weights(gates, output, bias):
    lstm = layer(gates, output, bias, inputs=2, hidden=2)
    names = [name for name, _ in lstm.named_parameters()]

    def run(x, h0, c0, *weights):
        return torch.func.functional_call(lstm, dict(zip(names, weights, strict=True)), (x, h0, c0))

    leaves = [random(2, 2, 2, 3), random(2, 2, seed=1), random(2, 2, seed=2)]
    leaves += [weight.detach().clone() for weight in lstm.parameters()]
    assert gradcheck(run, [leaf.requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("gates", ["printed", "both"])
@pytest.mark.parametrize("along", ["row", "column"])
def test_one_row_or_column_is_a_standard_lstm(gates, along):
    """With zero states on the other side; f^r is the forget gate along a row, f^l along a column."""
    lstm = layer(gates, "o*tanh(c)", bias=True)
    weights, reads, forget = (
        (lstm.weight_left, READS_LEFT[gates], "f_r") if along == "row" else (lstm.weight_up, READS_UP[gates], "f_l")
    )
    reference = torch.nn.LSTM(3, 4, batch_first=True).double()
    with torch.no_grad():
        reference.bias_hh_l0.zero_()
        for place, name in enumerate(("i", forget, "g", "o")):  # the order of nn.LSTM
            to = slice(4 * place, 4 * place + 4)
            reference.weight_ih_l0[to] = lstm.weight_x.unflatten(0, (5, 4))[GATE_ORDER.index(name)]
            reference.weight_hh_l0[to] = weights.unflatten(0, (-1, 4))[reads.index(name)]
            reference.bias_ih_l0[to] = lstm.bias.unflatten(0, (5, 4))[GATE_ORDER.index(name)]
    x = random(2, 7, 3)
    grid = x.transpose(1, 2)
    h = lstm(grid[:, :, None]).squeeze(2) if along == "row" else lstm(grid[..., None]).squeeze(3)
    assert torch.allclose(h.transpose(1, 2), reference(x)[0], rtol=0, atol=1e-12)


def test_printed_output_differs_from_a_standard_lstm():
    x = random(1, 3, 1, 7)
    assert not torch.allclose(layer(output="tanh(c*o)")(x), layer(output="o*tanh(c)")(x), atol=1e-3)


@pytest.mark.parametrize("gates", ["printed", "both"])
def test_state_depends_only_on_inputs_above_and_to_the_left(gates):
    lstm, x = layer(gates), random(1, 3, 4, 5)
    before = lstm(x)
    for i, j in product(range(4), range(5)):
        perturbed = x.clone()
        perturbed[:, :, i, j] += 1
        changed = (lstm(perturbed) - before).abs().amax(dim=(0, 1)) > 0
        reached = torch.zeros(4, 5, dtype=torch.bool)
        reached[i:, j:] = True
        assert torch.equal(changed, reached)


def test_initial_states_default_to_zeros():
    lstm, x, zeros = layer(), random(2, 3, 3, 4), torch.zeros(2, 4, dtype=torch.float64)
    assert torch.equal(lstm(x), lstm(x, zeros, zeros))
    assert torch.equal(lstm(x, c0=zeros + 1), lstm(x, zeros, zeros + 1))
    assert not torch.equal(lstm(x), lstm(x, zeros + 1))


def test_a_second_backward_gives_the_same_gradients():
    """Neither the backward pass nor a change of the output overwrites the saved tensors."""
    lstm, x = layer(), random(2, 3, 3, 4).requires_grad_()
    h = lstm(x)
    leaves = [x, *lstm.parameters()]
    first = torch.autograd.grad(h.sum(), leaves, retain_graph=True)
    h.detach().zero_()
    for a, b in zip(first, torch.autograd.grad(h.sum(), leaves), strict=True):
        assert torch.equal(a, b)


def test_weights_alone_can_be_trained():
    lstm = layer()
    lstm(random(2, 3, 3, 4)).sum().backward()
    assert all(weight.grad is not None for weight in lstm.parameters())


def test_memory_order_does_not_matter_and_inputs_are_not_changed():
    lstm, x, h0 = layer(), random(2, 3, 4, 5), random(2, 4)
    copy, copy_h0 = x.clone(), h0.clone()
    h = lstm(x, h0)
    assert torch.equal(lstm(x.contiguous(memory_format=torch.channels_last), h0), h)
    assert torch.equal(x, copy)
    assert torch.equal(h0, copy_h0)


def test_weights_are_uniform_and_come_from_the_generator():
    def draw(seed):
        lstm = SpatialLstm(
            inputs=20,
            hidden=30,
            gates="both",
            output="tanh(c*o)",
            bias=True,
            generator=torch.Generator().manual_seed(seed),
            scale=0.1,
        )
        return [weight.detach() for weight in (lstm.weight_x, lstm.weight_up, lstm.weight_left)], lstm.bias

    before = torch.get_rng_state()
    weights, bias = draw(0)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(weights, draw(0)[0], strict=True))
    assert not torch.equal(weights[0], draw(1)[0][0])
    assert not torch.equal(weights[1], weights[2])
    for weight in weights:
        assert weight.min() == pytest.approx(-0.1, abs=1e-3)
        assert weight.max() == pytest.approx(0.1, abs=1e-3)
        assert weight.mean() == pytest.approx(0, abs=0.01)
    assert (bias == 0).all()


def test_printed_gates_have_fewer_weights():
    def shapes(lstm):
        return [tuple(weight.shape) for weight in lstm.parameters()]

    assert shapes(layer("printed", bias=False)) == [(20, 3), (16, 4), (16, 4)]
    assert shapes(layer("both", bias=True)) == [(20, 3), (20, 4), (20, 4), (20,)]


def test_misuse_raises():
    lstm = layer()
    with pytest.raises(ArgumentError, match=r"\(2, 5, 3, 4\), not \(B, 3, H, W\)"):
        lstm(random(2, 5, 3, 4))
    with pytest.raises(ArgumentError, match=r"not \(B, 3, H, W\)"):
        lstm(random(2, 3, 4))
    with pytest.raises(ArgumentError, match=r"not \(B, 3, H, W\)"):
        lstm(random(2, 3, 0, 4))
    with pytest.raises(ArgumentError, match=r"h0 has the shape \(2, 5\), not \(B, hidden\) = \(2, 4\)"):
        lstm(random(2, 3, 3, 4), random(2, 5))
    with pytest.raises(ArgumentError, match=r"c0 has the shape \(1, 4\)"):
        lstm(random(2, 3, 3, 4), None, random(1, 4))
    with pytest.raises(ArgumentError, match="did you mean 'printed'"):
        layer(gates="print")
    with pytest.raises(ArgumentError, match="unknown output"):
        layer(output="tanh(c)")


def test_causal_neighbourhood_is_the_four_preceding_locations():
    x = random(2, 3, 4, 5)
    near = causal_neighbourhood(x)
    assert near.shape == (2, 12, 4, 5)
    for i, j in product(range(4), range(5)):
        for place, (u, v) in enumerate([(i - 1, j - 1), (i - 1, j), (i - 1, j + 1), (i, j - 1)]):
            inside = 0 <= u < 4 and 0 <= v < 5
            expected = x[:, :, u, v] if inside else torch.zeros(2, 3, dtype=torch.float64)
            assert torch.equal(near[:, 3 * place : 3 * place + 3, i, j], expected)
    assert gradcheck(causal_neighbourhood, (random(1, 2, 2, 3).requires_grad_(),))
    assert causal_neighbourhood(random(1, 2, 1, 1)).abs().sum() == 0


@pytest.mark.parametrize("gates", ["printed", "both"])
def test_recurrence_keeps_the_precision_of_its_weights_under_autocast(gates):
    lstm = layer(gates).float()
    x, h0, c0 = (random(*shape, seed=k).bfloat16() for k, shape in enumerate(((2, 3, 3, 4), (2, 4), (2, 4))))
    with torch.autocast("cpu", torch.bfloat16):
        h = lstm(x, h0, c0)
    assert h.dtype == torch.float32
    assert torch.equal(h, lstm(x.float(), h0.float(), c0.float()))
    h.sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in lstm.parameters())

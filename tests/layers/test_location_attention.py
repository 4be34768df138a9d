from itertools import product

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.location_attention import LocationSoftmax, attention_penalty, printed_expectation
from fgbench.util.errors import ArgumentError


def random(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def softmax(hidden=3, seed=0, scale=1.0):
    return LocationSoftmax(
        height=2, width=4, hidden=hidden, generator=torch.Generator().manual_seed(seed), scale=scale
    ).double()


def naive_expectation(x, logits):
    """Equations 3 and 4 with the bounds as printed, with one softmax per location."""
    expected = torch.zeros_like(x)
    for n, i, j in product(range(len(x)), range(x.shape[2]), range(x.shape[3])):
        weights = logits[n, : i + 1, : j + 1].flatten().softmax(dim=0)
        expected[n, :, i, j] = x[n, :, : i + 1, : j + 1].flatten(1) @ weights
    return expected


def test_location_softmax_is_over_all_locations():
    layer, h = softmax(), random(2, 3)
    attention = layer(h)
    assert attention.shape == (2, 2, 4)
    for n in range(2):
        terms = [[torch.exp(layer.weight[u * 4 + v] @ h[n]) for v in range(4)] for u in range(2)]
        total = sum(sum(row) for row in terms)
        for u, v in product(range(2), range(4)):
            assert attention[n, u, v].item() == pytest.approx((terms[u][v] / total).item(), abs=1e-12)


def test_gradcheck_of_the_location_softmax():
    layer = softmax()

    def run(h, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (h,))

    assert gradcheck(run, (random(2, 3).requires_grad_(), layer.weight.detach().clone().requires_grad_()))


def test_softmax_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    layer = softmax(hidden=200, scale=0.1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(layer.weight, softmax(hidden=200, scale=0.1).weight)
    assert not torch.equal(layer.weight, softmax(hidden=200, scale=0.1, seed=1).weight)
    assert layer.weight.min().item() == pytest.approx(-0.1, abs=1e-3)
    assert layer.weight.max().item() == pytest.approx(0.1, abs=1e-3)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_wrong_shapes_raise():
    with pytest.raises(ArgumentError, match=r"\(2, 5\), not \(B, 3\)"):
        softmax()(random(2, 5))
    with pytest.raises(ArgumentError, match="do not fit"):
        printed_expectation(random(2, 3, 4, 5), random(2, 5, 4))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 5)])
@pytest.mark.parametrize("scale", [1, 100])
def test_printed_expectation_equals_one_softmax_per_location(size, scale):
    x, logits = random(2, 3, *size).requires_grad_(), random(2, *size, seed=1, scale=scale).requires_grad_()
    towards = random(2, 3, *size, seed=2)
    mean, expected = printed_expectation(x, logits), naive_expectation(x, logits)
    assert torch.allclose(mean, expected, rtol=0, atol=1e-9)
    pairs = zip(
        torch.autograd.grad((mean * towards).sum(), (x, logits), materialize_grads=True),
        torch.autograd.grad((expected * towards).sum(), (x, logits), materialize_grads=True),
        strict=True,
    )
    for gradient, naive_gradient in pairs:
        assert torch.allclose(gradient, naive_gradient, rtol=0, atol=1e-9)


def test_gradcheck_of_the_printed_expectation():
    assert gradcheck(printed_expectation, (random(2, 2, 2, 3).requires_grad_(), random(2, 2, 3).requires_grad_()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("last", [1e4, -1e4])
def test_printed_expectation_with_the_largest_logit_last_or_first(dtype, last):
    """exp(logits - maximum) is zero at all locations but one, but every location has its own softmax."""
    x, logits = random(1, 2, 3, 4).to(dtype), random(1, 3, 4, seed=1).to(dtype)
    logits += torch.linspace(0, last, 12, dtype=dtype).view(1, 3, 4)
    x.requires_grad_()
    logits.requires_grad_()
    mean = printed_expectation(x, logits)
    assert torch.allclose(mean.double(), naive_expectation(x.double(), logits.double()), atol=1e-5)
    assert torch.equal(mean[:, :, 0, 0], x[:, :, 0, 0])
    mean.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(logits.grad).all()
    assert (x.grad.sum(dim=(2, 3)) - 12).abs().max() < 1e-5


def test_expectation_of_a_constant_and_invariance_to_shifted_logits():
    x, logits = random(1, 2, 6, 7), random(1, 6, 7, seed=1, scale=10)
    assert torch.allclose(printed_expectation(torch.ones_like(x), logits), torch.ones_like(x), rtol=0, atol=1e-12)
    assert torch.allclose(printed_expectation(x, logits + 1000), printed_expectation(x, logits), rtol=0, atol=1e-9)


def test_penalty_is_summed_over_locations_and_averaged_over_the_batch():
    attention = softmax()(random(2, 3)).detach()
    terms = [(0.3 - attention[n, u, v].item()) ** 2 for n in range(2) for u in range(2) for v in range(4)]
    assert attention_penalty(attention, 0.3).item() == pytest.approx(sum(terms) / 2, abs=1e-12)
    assert attention_penalty(torch.full((3, 2, 4), 1 / 8), 1 / 8) == 0
    assert gradcheck(lambda attention: attention_penalty(attention, 0.3), (attention.requires_grad_(),))

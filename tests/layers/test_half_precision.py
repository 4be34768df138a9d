"""Operations that keep single precision under autocast: the values are those without autocast."""

import pytest
import torch

from fgbench.layers.bilinear import bilinear_pool, l2_normalize, signed_sqrt
from fgbench.layers.compact_bilinear import RandomMaclaurin, TensorSketch
from fgbench.layers.distillation import distillation_loss
from fgbench.layers.location_attention import LocationSoftmax, printed_expectation
from fgbench.layers.spatial_lstm import SpatialLstm
from fgbench.layers.trilinear import structure_map, trilinear_attention
from fgbench.methods.base import cross_entropy

CHANNELS, SIZE, DIMS = 6, (3, 4), 5


def draw():
    return torch.Generator().manual_seed(0)


MAPS = {
    "bilinear pooling": lambda x: bilinear_pool(x, x),
    "two maps": lambda x: bilinear_pool(x, x.flip(1)),
    "signed square root": signed_sqrt,
    "l2 norm": lambda x: l2_normalize(x.flatten(1)),
    "trilinear attention": trilinear_attention,
    "structure map": lambda x: structure_map(x, reduction="unique_sum"),
    "printed expectation": lambda x: printed_expectation(x, x[:, 0]),
}
MODULES = {
    "tensor sketch": (lambda: TensorSketch((CHANNELS, CHANNELS), DIMS, draw()), lambda m, x: m(x, x)),
    "tensor sketch at each location": (
        lambda: TensorSketch((CHANNELS, CHANNELS), DIMS, draw()),
        lambda m, x: m.at_each_location(x, x),
    ),
    "random maclaurin": (lambda: RandomMaclaurin((CHANNELS, CHANNELS), DIMS, draw()), lambda m, x: m(x, x)),
    "random maclaurin at each location": (
        lambda: RandomMaclaurin((CHANNELS, CHANNELS), DIMS, draw()),
        lambda m, x: m.at_each_location(x, x),
    ),
    "location softmax": (
        lambda: LocationSoftmax(height=3, width=4, hidden=CHANNELS, generator=draw()),
        lambda m, x: m(x[:, :, 0, 0]),
    ),
    "location logits": (
        lambda: LocationSoftmax(height=3, width=4, hidden=CHANNELS, generator=draw()),
        lambda m, x: m.logits(x[:, :, 0, 0]),
    ),
    "spatial LSTM": (
        lambda: SpatialLstm(
            inputs=CHANNELS, hidden=4, gates="printed", output="tanh(c*o)", bias=False, generator=draw()
        ),
        lambda m, x: m(x),
    ),
}
CASES = {name: (lambda: None, lambda _, x, f=f: f(x)) for name, f in MAPS.items()} | MODULES


def maps():
    return torch.rand(2, CHANNELS, *SIZE, generator=draw())


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_are_those_without_autocast(case, dtype):
    build, compute = case
    module, results = build(), []
    x = maps().to(dtype)
    for half in (True, False):
        leaf = (x if half else x.float()).clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            result = compute(module, leaf)
        result.square().sum().backward()
        results.append((result, leaf.grad))
    (found, gradient), (expected, exact_gradient) = results
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    if dtype == torch.float32:
        assert torch.equal(gradient, exact_gradient)


LOSSES = {
    "cross-entropy": lambda logits: cross_entropy(logits, torch.tensor([0, 2, 4])),
    "distillation": lambda logits: distillation_loss(logits, logits.flip(0), 10.0, detach=False),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_losses_of_half_precision_are_those_of_single_precision(loss):
    logits = (4 * torch.randn(3, 5, generator=draw())).bfloat16()
    exact = logits.float().requires_grad_()
    half = logits.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(half)
    found.backward()
    expected = loss(exact)
    expected.backward()
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.allclose(half.grad.float(), exact.grad, rtol=2**-6, atol=1e-4)

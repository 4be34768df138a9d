"""The glimpse LSTM has the values of the automatic gradient with fewer kernels, and keeps single precision."""

import pytest
import torch
from glimpse_by_autograd import glimpse_by_autograd
from simulated_gpu import SimulatedGpu

from fgbench.layers.glimpse_lstm import glimpse_lstm
from fgbench.layers.location_attention import LocationSoftmax
from fgbench.layers.spatial_lstm import SpatialLstm

GRID = 27, 27
"""Locations of the paper's map."""
MOST_KERNELS = 1920
"""Operations of the forward and backward pass on `GRID`; 5,086 with the automatic gradient."""


def build(size, inputs=16, hidden=8, **options):
    draw = torch.Generator().manual_seed(0)
    options = {"gates": "printed", "output": "tanh(c*o)", "bias": False, **options}
    lstm = SpatialLstm(inputs=inputs, hidden=hidden, generator=draw, scale=0.4, **options)
    locations = LocationSoftmax(height=size[0], width=size[1], hidden=hidden, generator=draw, scale=2.0)
    tensors = [torch.randn(shape, generator=draw) for shape in ((2, inputs, *size), (2, hidden), (2, hidden))]
    return lstm, locations, tensors


def step(function, lstm, locations, tensors, *, half=False):
    """Return the states, the attention, and the gradients of inputs and weights."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        h, attention = function(leaves[0], lstm, locations, *leaves[1:])
    (h.square().sum() + 10 * attention.square().sum()).backward()
    weights = [*lstm.parameters(), *locations.parameters()]
    gradients = [leaf.grad for leaf in (*leaves, *weights)]
    for weight in weights:
        weight.grad = None
    return [h, attention, *gradients]


@pytest.mark.parametrize(
    "options", [{}, {"gates": "both", "output": "o*tanh(c)", "bias": True}], ids=["printed", "standard"]
)
@pytest.mark.parametrize("size", [(9, 6), (5, 8)])
def test_single_precision_has_the_values_of_the_automatic_gradient(options, size):
    lstm, locations, tensors = build(size, **options)
    results = (step(function, lstm, locations, tensors) for function in (glimpse_lstm, glimpse_by_autograd))
    for found, expected in zip(*results, strict=True):
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def count_kernels(function):
    with SimulatedGpu(values=False) as gpu:
        lstm, locations, tensors = build(GRID)
        lstm.to("cuda")
        locations.to("cuda")
        tensors = [tensor.to("cuda") for tensor in tensors]
        gpu.clear()
        step(function, lstm, locations, tensors)
    return sum(gpu.kernels.values()), gpu.waits


def test_a_step_launches_few_kernels_and_never_waits():
    kernels, waits = count_kernels(glimpse_lstm)
    assert kernels <= MOST_KERNELS
    assert not waits
    assert kernels < 0.4 * count_kernels(glimpse_by_autograd)[0]


def test_the_recurrence_has_single_precision_under_autocast():
    lstm, locations, tensors = build((4, 5))
    results = (step(glimpse_lstm, lstm, locations, tensors, half=half) for half in (True, False))
    for result, reference in zip(*results, strict=True):
        assert torch.equal(result, reference)

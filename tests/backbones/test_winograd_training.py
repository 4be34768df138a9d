"""Gradients of convolutions by Winograd's algorithm against those of torch in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from large_convolutions import SHAPES, drawn
from torch import Tensor, nn

from fgbench.backbones import fast_convolutions, load_backbone, winograd_training
from fgbench.backbones.fast_convolutions import FastConvolutions
from fgbench.backbones.winograd_training import WinogradConvolution


def gradients(function: Callable[..., Tensor], values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the output of a function of input, kernels and bias, and the three gradients."""
    *inputs, gradient = (value.clone().requires_grad_() for value in values)
    output = function(*inputs)
    return (output.detach(), *torch.autograd.grad(output, inputs, gradient.detach()))


def direct(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=1)


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Return a list that receives the shape of each input of a convolution with gradients."""
    shapes: list[torch.Size] = []
    apply = WinogradConvolution.apply

    def noted(x: Tensor, *others: Tensor) -> Tensor:
        shapes.append(x.shape)
        return apply(x, *others)

    monkeypatch.setattr(WinogradConvolution, "apply", noted)
    return shapes


@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_are_those_of_float64(shape: tuple[int, ...]) -> None:
    values = drawn(*shape)
    found = gradients(WinogradConvolution.apply, values)
    expected = gradients(direct, tuple(value.double() for value in values))
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() < 1e-5 * other.norm()


def test_gradients_that_are_not_needed_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias, gradient = drawn(*SHAPES[0])
    kernels: list[Tensor] = []
    monkeypatch.setattr(winograd_training, "winograd_kernel_gradient", lambda *args: kernels.append(args[0]))
    x.requires_grad_()
    WinogradConvolution.apply(x, weight, None).backward(gradient)
    assert not kernels
    assert x.grad is not None
    assert bias.grad is None


@pytest.mark.parametrize("trained", ["layer", "input", "none"])
def test_the_context_uses_it_where_gradients_are_needed(trained: str, applied: list[torch.Size]) -> None:
    layer, x = nn.Conv2d(128, 128, 3, padding=1), torch.randn(1, 128, 28, 28)
    layer.requires_grad_(trained == "layer")
    x.requires_grad_(trained == "input")
    with FastConvolutions():
        output = layer(x)
    assert len(applied) == (trained != "none")
    assert output.requires_grad == (trained != "none")


@pytest.mark.parametrize("side", [112, 120])
def test_a_step_of_a_network_has_the_gradients_of_torch(
    side: int, applied: list[torch.Size], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randint(0, 256, (4, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def step() -> dict[str, Tensor]:
        backbone = load_backbone("vgg16", "relu5_3", pretrained=False).train()
        backbone(images).square().mean().backward()
        return {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}

    found = step()
    assert len(applied) >= 7  # conv2_2 to conv4_3, and of larger images conv5
    count = len(applied)
    monkeypatch.setattr(fast_convolutions, "MIN_CHANNELS", 10_000)
    expected = step()
    assert len(applied) == count
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() < 1e-3 * gradient.norm(), name


def test_trainings_in_bfloat16_and_compiled_networks_do_not_use_it(applied: list[torch.Size]) -> None:
    images = torch.randint(0, 256, (1, 3, 112, 112), dtype=torch.uint8)
    backbone = load_backbone("vgg16", "relu5_3", pretrained=False)
    with torch.autocast("cpu", torch.bfloat16):
        backbone(images)
    assert not applied
    backbone.compile_layers("eager")
    backbone(images)
    assert not applied


def test_equal_steps_give_equal_bits() -> None:
    values = drawn(*SHAPES[1])
    first, second = (gradients(WinogradConvolution.apply, values) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))

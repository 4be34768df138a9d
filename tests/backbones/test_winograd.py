"""Convolutions by Winograd's algorithm against the direct algorithm of torch and in float64."""

import pytest
import torch
import torch.nn.functional as F
from large_convolutions import SHAPES, drawn
from torch import nn

from fgbench.backbones import fast_convolutions
from fgbench.backbones.build import load_backbone
from fgbench.backbones.fast_convolutions import FastConvolutions
from fgbench.backbones.winograd import winograd_conv2d, winograd_weights


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Return a list that receives the shape of each input of the algorithm."""
    shapes: list[torch.Size] = []

    def counted(x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        shapes.append(x.shape)
        return winograd_conv2d(x, weights, bias)

    monkeypatch.setattr(fast_convolutions, "winograd_conv2d", counted)
    return shapes


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_the_convolution_is_that_of_float64(shape: tuple[int, ...], with_bias: bool) -> None:
    x, weight, bias, _ = drawn(*shape)
    result = winograd_conv2d(x, winograd_weights(weight), bias if with_bias else None)
    expected = F.conv2d(x.double(), weight.double(), bias.double() if with_bias else None, padding=1)
    assert result.shape == expected.shape
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert (result - expected).norm() < 1e-5 * expected.norm()


def test_other_memory_layouts_give_the_same_values() -> None:
    x, weight, bias, _ = drawn(2, 128, 28, 28, 128)
    weights = winograd_weights(weight)
    last = winograd_conv2d(x.contiguous(memory_format=torch.channels_last), weights, bias)
    assert torch.equal(winograd_conv2d(x, weights, bias), last)


def test_the_context_uses_it_for_large_layers_alone(used: list[torch.Size]) -> None:
    x, weight, bias, _ = drawn(*SHAPES[0])
    layer = nn.Conv2d(128, 128, 3, padding=1)
    others = (
        *(nn.Conv2d(128, 128, 3), nn.Conv2d(128, 128, 3, stride=2, padding=1), nn.Conv2d(128, 128, 1)),
        *(nn.Conv2d(128, 128, 3, padding=2, dilation=2), nn.Conv2d(128, 128, 3, padding=1, groups=2)),
        *(nn.Conv2d(128, 64, 3, padding=1), nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect")),
    )
    with torch.inference_mode(), FastConvolutions():
        layer(x)
        assert len(used) == 1
        for other in others:
            other(x)
        layer(x[:, :, :24, :24])
        F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    assert len(used) == 1


def test_changed_weights_are_transformed_again() -> None:
    x, layer, fast = torch.randn(1, 128, 28, 28), nn.Conv2d(128, 128, 3, padding=1), FastConvolutions()
    with torch.inference_mode(), fast:
        layer(x)
    with torch.no_grad():
        layer.weight.mul_(2)
    with torch.inference_mode():
        with fast:
            result = layer(x)
        expected = layer(x)
    assert (result - expected).norm() < 1e-5 * expected.norm()


def test_a_backbone_uses_it_in_float32_alone(used: list[torch.Size]) -> None:
    backbone = load_backbone("vgg16", "relu5_3", pretrained=False)
    images = torch.randint(0, 256, (4, 3, 112, 112), dtype=torch.uint8)
    backbone.uses_bf16 = True
    with torch.inference_mode():
        backbone(images)
    assert not used
    backbone.uses_bf16 = False
    with torch.inference_mode():
        fast = backbone(images)
        direct = backbone.layers(backbone._normalise(images))
    assert len(used) == 7  # conv2_2 to conv4_3; conv5 has too few tiles
    assert (fast - direct).norm() < 1e-5 * direct.norm()


def test_arguments_by_name_are_understood(used: list[torch.Size]) -> None:
    x, weight, bias, _ = drawn(*SHAPES[0])
    with torch.inference_mode(), FastConvolutions():
        F.conv2d(x, weight, padding=1)
        F.conv2d(x, weight, bias=bias, padding=(1, 1))
        assert len(used) == 2
        F.conv2d(x, weight, padding="valid")
        F.conv2d(x, weight, bias, stride=2, padding=1)
    assert len(used) == 2

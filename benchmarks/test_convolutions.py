"""Convolutions of VGG-16 at 448 px on a CPU, without and with gradients, compared with torch alone."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from race import FGBENCH, Floor, Race

from fgbench.backbones.build import load_backbone
from fgbench.backbones.fast_convolutions import MIN_CHANNELS, FastConvolutions

SIDE = 448
TORCH = "torch, direct convolutions"
LAYERS = [(3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2), (128, 256, 4), (256, 256, 4), (256, 256, 4),
          (256, 512, 8), (512, 512, 8), (512, 512, 8), (512, 512, 16), (512, 512, 16), (512, 512, 16)]  # fmt: skip
"""Input channels, output channels and stride of the maps."""


def products(channels, outputs, stride):
    """Count the operations of a layer: 36 instead of 144 products for a tile by the algorithm of Winograd."""
    direct = 2 * 9 * channels * outputs * (SIDE // stride) ** 2
    return direct / 4 if channels >= MIN_CHANNELS else direct


def network():
    image = torch.randint(0, 256, (1, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return load_backbone("vgg16", "relu5_3", pretrained=False), image


def fgbench_entrant():
    backbone, image = network()

    def work():
        with torch.inference_mode():
            return backbone(image)

    return work


def torch_alone():
    backbone, image = network()
    pixels = backbone._normalise(image)

    def work():
        with torch.inference_mode():
            return backbone.layers(pixels.clone(memory_format=torch.channels_last))

    return work


def agree(result, peer_result):
    for one, other in zip(result, peer_result, strict=True):  # maps of the images, or gradients
        assert (one - other).norm() < 1e-4 * other.norm()


RACE = Race(
    "convolutions of VGG-16, 448 px",
    {FGBENCH: fgbench_entrant, TORCH: torch_alone},
    at_least={TORCH: 1.3},
    agree=agree,
    rounds=9,
    floor=Floor(
        flop=sum(products(*layer) for layer in LAYERS),
        moved_bytes=4 * sum((channels + outputs) * (SIDE // stride) ** 2 for channels, outputs, stride in LAYERS),
        counts=f"the products of all tiles; those of layers with fewer than {MIN_CHANNELS} input channels are direct",
    ),
)


CHANNELS, CELLS, IMAGES = 512, 28, 16
"""A layer of the last block at 448 px, and the images of a step."""


def layer_step(context):
    """Return a function that computes the gradients of a layer, its input and its bias inside a context."""
    generator = torch.Generator().manual_seed(0)
    shapes = (IMAGES, CHANNELS, CELLS, CELLS), (CHANNELS, CHANNELS, 3, 3), (CHANNELS,)
    inputs = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    gradient = torch.randn(shapes[0], generator=generator).to(memory_format=torch.channels_last)

    def work():
        with context:
            output = F.conv2d(*inputs, padding=1)
        return torch.autograd.grad(output, inputs, gradient)

    return work


PASSES = 3  # forward, gradient of the input, gradient of the kernels
TRAINING = Race(
    "gradients of a layer of 512 x 512 channels, 28 px",
    {FGBENCH: lambda: layer_step(FastConvolutions()), TORCH: lambda: layer_step(nullcontext())},
    at_least={TORCH: 1.3},
    agree=agree,
    rounds=5,
    floor=Floor(
        flop=PASSES * IMAGES * 2 * 9 * CHANNELS**2 * CELLS**2 / 4,
        moved_bytes=4 * PASSES * (2 * IMAGES * CHANNELS * CELLS**2 + 9 * CHANNELS**2),
        counts="the products of all tiles, forward and backward",
    ),
)


@pytest.mark.parametrize("who", TRAINING.names)
def test_gradients_of_a_convolution(row, who):
    row(TRAINING, who)


@pytest.mark.parametrize("who", RACE.names)
def test_convolutions(row, who):
    row(RACE, who)

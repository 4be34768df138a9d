"""The convolutions of VGG-16 up to relu5_3 at 448 px without gradients on a CPU, compared with torch alone."""

import pytest
import torch
from race import FGBENCH, Floor, Race

from fgbench.backbones.build import load_backbone
from fgbench.backbones.fast_convolutions import MIN_CHANNELS

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
    assert (result - peer_result).norm() < 1e-4 * peer_result.norm()


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


@pytest.mark.parametrize("who", RACE.names)
def test_convolutions(row, who):
    row(RACE, who)

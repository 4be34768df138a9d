"""VGG-16 with its fully connected layers as convolutions (Long, Shelhamer and Darrell, CVPR 2015)."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from fgbench.backbones.matconvnet_layers import Pool
from fgbench.backbones.networks import FullyConnected


class DenseVgg(nn.Module):
    """VGG-16 up to relu7 on images of 224 px and larger.

    Pooling rounds sizes up, as in Caffe. An image of 500 px has 16 x 16 cells after pool5, and without padding 10 x 10
    cells after fc7. There is no dropout, whichever file the weights are from.

    Args:
        maps: Layers up to relu5_3.
        top: Layers from pool5 to relu7.
    """

    def __init__(self, maps: nn.Sequential, top: nn.Sequential) -> None:
        super().__init__()
        self.maps, self.top = maps, top

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, 4096, h, w)."""
        output: Tensor = self.top(self.maps(x))
        return output


def dense_vgg(layers: nn.Module, same: bool) -> DenseVgg:
    """Return the dense form of a VGG-16 up to relu7, with the same weights.

    Args:
        layers: VGG-16 as built by `build_network`, or as read from MatConvNet, where fully connected layers are
            convolutions already.
        same: Pad fc6 so that every cell of pool5 has an output; otherwise only cells where its 7 x 7 window fits.
    """
    # Make pooling keep the rest of odd sides, and fc6 pad as asked.
    named = dict(_named_layers(layers) if isinstance(layers, FullyConnected) else layers.named_children())
    for layer in named.values():
        keep_odd_sides(layer)
    fc6 = named["fc6"]
    assert isinstance(fc6, nn.Conv2d)
    fc6.padding = (3, 3) if same else (0, 0)
    # Split before pool5.
    names = list(named)
    pool5 = names.index("pool5")
    maps, top = (
        nn.Sequential(OrderedDict((name, named[name]) for name in part)) for part in (names[:pool5], names[pool5:])
    )
    return DenseVgg(maps, top)


def keep_odd_sides(layer: nn.Module) -> None:
    """Make a 2 x 2 pooling layer keep the last row and column of an odd side, as Caffe does; leave other layers."""
    if isinstance(layer, nn.MaxPool2d):
        layer.ceil_mode = True
    elif isinstance(layer, Pool):
        layer.pad = (0, 1, 0, 1)


def _named_layers(layers: FullyConnected) -> list[tuple[str, nn.Module]]:
    """Return the layers of VGG-16 with the names of its authors, and linear layers as convolutions."""
    named: list[tuple[str, nn.Module]] = []
    block, number = 1, 1
    for layer in layers.features:
        if isinstance(layer, nn.Conv2d):
            named.append((f"conv{block}_{number}", layer))
        elif isinstance(layer, nn.ReLU):
            # relu5_3 does not work in place, because its output is returned.
            named.append((f"relu{block}_{number}", nn.ReLU(inplace=(block, number) != (5, 3))))
            number += 1
        else:
            named.append((f"pool{block}", layer))
            block, number = block + 1, 1
    first, second = (layer for layer in layers.classifier if isinstance(layer, nn.Linear))
    return [
        *named,
        ("fc6", _convolution(first, 7)),
        ("relu6", nn.ReLU(inplace=True)),
        ("fc7", _convolution(second, 1)),
        ("relu7", nn.ReLU()),
    ]


def _convolution(linear: nn.Linear, side: int) -> nn.Conv2d:
    """Return a linear layer on C x side x side values as a convolution."""
    weight = linear.weight.detach()
    with torch.device("meta"):
        convolution = nn.Conv2d(weight.shape[1] // side**2, weight.shape[0], side)
    convolution.weight = nn.Parameter(weight.reshape(convolution.weight.shape).clone())
    convolution.bias = nn.Parameter(linear.bias.detach().clone())
    return convolution

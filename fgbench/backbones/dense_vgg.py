"""VGG-16 with its fully connected layers as convolutions (Long, Shelhamer and Darrell, CVPR 2015)."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from fgbench.backbones.matconvnet_layers import Pool
from fgbench.backbones.networks import FullyConnected


class DenseVgg(nn.Module):
    """VGG-16 up to fc7 on images of any size from 224 px on.

    Pooling rounds up, as in Caffe: 500 px give 16 x 16 cells after pool5, and so 10 x 10 of fc7 without padding.

    Args:
        maps: up to relu5_3.
        top: pool5 to relu7.
    """

    def __init__(self, maps: nn.Sequential, top: nn.Sequential) -> None:
        super().__init__()
        self.maps, self.top = maps, top

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 4096, h, w)."""
        result: Tensor = self.top(self.maps(x))
        return result


def dense_vgg(layers: nn.Module, same: bool) -> DenseVgg:
    """A VGG-16 up to relu7 in its dense form, with the same weights.

    Args:
        layers: as built here, or as read from MatConvNet, whose fully connected layers are convolutions already.
        same: pad fc6, so that every cell of pool5 gets an output; else only those where the window of 7 x 7 fits.
    """
    named = dict(_flat(layers) if isinstance(layers, FullyConnected) else layers.named_children())
    for name, layer in named.items():
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
        elif isinstance(layer, Pool):
            named[name] = Pool(layer.method, layer.size, layer.stride, (0, 1, 0, 1))
    fc6 = named["fc6"]
    assert isinstance(fc6, nn.Conv2d)
    fc6.padding = (3, 3) if same else (0, 0)
    names = list(named)
    cut = names.index("pool5")
    maps, top = (nn.Sequential(OrderedDict((n, named[n]) for n in part)) for part in (names[:cut], names[cut:]))
    return DenseVgg(maps, top)


def _flat(layers: FullyConnected) -> list[tuple[str, nn.Module]]:
    """The layers of VGG-16 under the names of its authors, linear ones as convolutions."""
    named: list[tuple[str, nn.Module]] = []
    block, number = 1, 1
    for layer in layers.features:
        if isinstance(layer, nn.Conv2d):
            named.append((f"conv{block}_{number}", layer))
        elif isinstance(layer, nn.ReLU):
            # Not in place at the end of the maps, which are handed out.
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
        ("drop6", nn.Dropout()),
        ("fc7", _convolution(second, 1)),
        ("relu7", nn.ReLU()),
    ]


def _convolution(linear: nn.Linear, side: int) -> nn.Conv2d:
    """A linear layer on C x side x side values as a convolution."""
    weight = linear.weight.detach()
    with torch.device("meta"):
        convolution = nn.Conv2d(weight.shape[1] // side**2, weight.shape[0], side)
    convolution.weight = nn.Parameter(weight.reshape(convolution.weight.shape).clone())
    convolution.bias = nn.Parameter(linear.bias.detach().clone())
    return convolution

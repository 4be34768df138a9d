"""Division of a network into its first blocks, whose weights stay as published, and the layers that are trained.

A block ends with a pooling layer.
"""

from collections.abc import Iterator

from torch import nn

from fgbench.backbones.dense_vgg import DenseVgg
from fgbench.backbones.matconvnet_layers import Pool
from fgbench.backbones.networks import FullyConnected
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError


def split_blocks(layers: nn.Module, count: int, name: str) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the first blocks of a network, and its other layers up to its map.

    Args:
        layers: the network: layers in a row, also nested, or VGG with its fully connected layers, also as convolutions.
        count: number of blocks.
        name: name of the network, for the message.

    Raises:
        FgbenchError: the layers are not in a row, or the network has too few blocks.
    """
    row = list(_in_a_row(layers.maps if isinstance(layers, DenseVgg) else layers))
    ends = [number for number, layer in enumerate(row, 1) if isinstance(layer, nn.MaxPool2d | Pool)]
    ends = [end for end in ends if any(True for layer in row[end:] for _ in layer.parameters())]
    if not 0 < count <= len(ends):
        have = counted(len(ends), "block") if ends else "no block"
        raise FgbenchError(
            f"fixed_blocks is {count}, but {name} has {have} with layers to train after it",
            f"--set fixed_blocks={len(ends)}" if ends else "leave fixed_blocks out",
        )
    return nn.Sequential(*row[: ends[count - 1]]), nn.Sequential(*row[ends[count - 1] :])


def _in_a_row(layers: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of nested `nn.Sequential` in their order; any other module is one layer."""
    if isinstance(layers, FullyConnected):
        yield from (*layers.features, nn.Flatten(), *layers.classifier)
        return
    if not isinstance(layers, nn.Sequential):
        yield layers
        return
    for layer in layers:
        yield from _in_a_row(layer)

"""Two small networks that are trained from scratch; they replace D-Net and M-Net in the profile `quick`."""

from torch import nn


def _block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, pool: bool = False) -> list[nn.Module]:
    """Return a convolution with normalisation, pooling and ReLU. After the pooling, ReLU has a quarter of the cells."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        *([nn.MaxPool2d(2)] if pool else []),
        nn.ReLU(),
    ]


def tiny_d() -> nn.Sequential:
    """Return the deeper network: (B, 3, H, W) to (B, 64, H / 8, W / 8); 13 million multiplications at 64 px."""
    return nn.Sequential(
        *_block(3, 24, kernel=5, stride=2, pool=True),
        *_block(24, 40),
        *_block(40, 48, pool=True),
        *_block(48, 64),
        *_block(64, 64),
    )


def tiny_m() -> nn.Sequential:
    """Return the shallower network, with a larger first kernel.

    It maps (B, 3, H, W) to (B, 48, H / 8, W / 8) with 6 million multiplications at 64 px.
    """
    return nn.Sequential(
        *_block(3, 24, kernel=5, stride=2, pool=True),
        *_block(24, 48, pool=True),
        *_block(48, 48),
    )

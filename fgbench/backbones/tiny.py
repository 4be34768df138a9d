"""Two small networks that are trained from scratch; they replace D-Net and M-Net in the profile `quick`."""

from torch import nn


def _block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def tiny_d() -> nn.Sequential:
    """Return the deeper network: (B, 3, H, W) to (B, 64, H / 8, W / 8); 21 million multiplications at 64 px."""
    return nn.Sequential(
        *_block(3, 24, stride=2),
        *_block(24, 32),
        nn.MaxPool2d(2),
        *_block(32, 48),
        *_block(48, 48),
        nn.MaxPool2d(2),
        *_block(48, 64),
        *_block(64, 64),
    )


def tiny_m() -> nn.Sequential:
    """Return the shallower network, with a larger first kernel.

    It maps (B, 3, H, W) to (B, 48, H / 8, W / 8) with 6 million multiplications at 64 px.
    """
    return nn.Sequential(
        *_block(3, 24, kernel=5, stride=2),
        nn.MaxPool2d(2),
        *_block(24, 48),
        nn.MaxPool2d(2),
        *_block(48, 48),
    )

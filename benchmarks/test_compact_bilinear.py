"""Compact bilinear pooling of 512 x 28 x 28 to 8,192 values, compared with the two usual ways to compute it."""

import pytest
import torch
from race import FGBENCH, Floor, Race

from fgbench.layers.compact_bilinear import TensorSketch

CHANNELS, SIDE, DIMS = 512, 28, 8192
EACH, ONCE = "an FFT a location", "one inverse FFT an image"


def sketch():
    return TensorSketch((CHANNELS, CHANNELS), DIMS, torch.Generator().manual_seed(0))


def maps():
    return torch.rand(1, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def inference(function):
    def work():
        with torch.inference_mode():
            return function()

    return work


def fgbench_entrant():
    layer, x = sketch(), maps()
    return inference(lambda: layer(x, x))


def each_location():
    layer, x = sketch(), maps()
    return inference(lambda: layer.at_each_location(x, x).mean(dim=(2, 3)))


def one_inverse():
    """Sum the products of spectra before one inverse FFT, which is linear."""
    layer, x = sketch(), maps()
    rows = x.flatten(2).transpose(1, 2)[0]

    def spectrum(bins, signs):
        return torch.fft.rfft(rows.new_zeros(len(rows), DIMS).index_add_(1, bins, rows * signs))

    def work():
        a, b = spectrum(layer.bins_a, layer.signs_a), spectrum(layer.bins_b, layer.signs_b)
        return torch.fft.irfft((a * b).sum(dim=0), n=DIMS)[None] / len(rows)

    return inference(work)


def agree(result, peer_result):
    assert torch.allclose(result, peer_result, atol=1e-4 * float(peer_result.abs().max()))


RACE = Race(
    "compact bilinear pooling, 512 x 28 x 28 to 8,192",
    {FGBENCH: fgbench_entrant, EACH: each_location, ONCE: one_inverse},
    at_least={EACH: 15, ONCE: 10},
    agree=agree,
    peer_rounds={EACH: 5},
    floor=Floor(
        flop=CHANNELS * CHANNELS * SIDE * SIDE,
        moved_bytes=4 * (CHANNELS * SIDE * SIDE + DIMS),
        counts="half of the symmetric outer product",
    ),
)


@pytest.mark.parametrize("who", RACE.names)
def test_compact_bilinear(row, who):
    row(RACE, who)

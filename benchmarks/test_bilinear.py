"""Bilinear pooling of 512 x 28 x 28 with its normalisation, compared with an einsum."""

import pytest
import torch
from race import FGBENCH, Floor, Race

from fgbench.layers.bilinear import bilinear_pool, l2_normalize, signed_sqrt

CHANNELS, SIDE = 512, 28
EINSUM = "torch.einsum"


def maps():
    return torch.rand(1, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def fgbench_entrant():
    x = maps()

    def work():
        with torch.inference_mode():
            return l2_normalize(signed_sqrt(bilinear_pool(x, x)))

    return work


def einsum():
    x = maps()

    def work():
        with torch.inference_mode():
            pooled = torch.einsum("bchw,bdhw->bcd", x, x).flatten(1) / SIDE**2
            return torch.nn.functional.normalize(pooled.sign() * pooled.abs().sqrt())

    return work


def agree(result, peer_result):
    assert torch.allclose(result, peer_result, atol=1e-5)


RACE = Race(
    "bilinear pooling, 512 x 512 at 28 x 28",
    {FGBENCH: fgbench_entrant, EINSUM: einsum},
    at_least={EINSUM: 1},
    agree=agree,
    rounds=25,
    floor=Floor(
        flop=2 * CHANNELS * CHANNELS * SIDE * SIDE,
        moved_bytes=4 * (CHANNELS * SIDE * SIDE + CHANNELS * CHANNELS),
        counts="one matrix product",
    ),
)


@pytest.mark.parametrize("who", RACE.names)
def test_bilinear(row, who):
    row(RACE, who)

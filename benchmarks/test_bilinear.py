"""Bilinear pooling with its normalisation at the papers' size, beside an einsum."""

import torch

from fgbench.layers.bilinear import bilinear_pool, l2_normalize, signed_sqrt

GROUP = "bilinear pooling, 512 x 512 at 28 x 28"


def maps():
    return torch.rand(1, 512, 28, 28, generator=torch.Generator().manual_seed(0))


def descriptor(x):
    return l2_normalize(signed_sqrt(bilinear_pool(x, x)))


def naive(x):
    pooled = torch.einsum("bchw,bdhw->bcd", x, x).flatten(1) / 784
    return torch.nn.functional.normalize(pooled.sign() * pooled.abs().sqrt())


def test_fgbench(benchmark):
    benchmark.group = GROUP
    with torch.inference_mode():
        assert torch.allclose(benchmark(descriptor, maps()), naive(maps()), atol=1e-5)


def test_einsum(benchmark):
    benchmark.group = GROUP
    with torch.inference_mode():
        assert benchmark(naive, maps()).shape == (1, 512 * 512)

import math

import numpy as np
import pytest
import torch
from skimage.feature import fisher_vector as skimage_fisher
from sklearn.mixture import GaussianMixture

from fgbench.layers.fisher_vector import fisher_vector
from fgbench.layers.gmm import Gmm
from fgbench.util.errors import ArgumentError


def mixture(k=3, d=4, shift=0.0):
    g = torch.Generator().manual_seed(1)
    weights = torch.rand(k, generator=g, dtype=torch.float64) + 0.2
    return Gmm(
        weights / weights.sum(),
        torch.randn(k, d, generator=g, dtype=torch.float64) + shift,
        torch.rand(k, d, generator=g, dtype=torch.float64) + 0.3,
    )


def points(n=7, d=4, shift=0.0, seed=2):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def naive(x, gmm):
    """Perronnin et al. 2010, equations 16 and 17, written as loops."""
    (n, d), k = x.shape, len(gmm.weights)
    w, mu, sigma = gmm.weights, gmm.means, gmm.variances.sqrt()
    by_mean, by_deviation = torch.zeros(k, d, dtype=x.dtype), torch.zeros(k, d, dtype=x.dtype)
    for t in range(n):
        density = [
            w[i]
            * math.prod(
                math.exp(-0.5 * ((x[t, j] - mu[i, j]) / sigma[i, j]) ** 2) / (sigma[i, j] * math.sqrt(2 * math.pi))
                for j in range(d)
            )
            for i in range(k)
        ]
        for i in range(k):
            share = density[i] / sum(density)
            for j in range(d):
                z = (x[t, j] - mu[i, j]) / sigma[i, j]
                by_mean[i, j] += share * z / (n * math.sqrt(w[i]))
                by_deviation[i, j] += share * (z * z - 1) / (n * math.sqrt(2 * w[i]))
    return torch.cat([by_mean.flatten(), by_deviation.flatten()])


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_equals_the_equations(shift):
    gmm, x = mixture(shift=shift), points(shift=shift)
    assert torch.allclose(fisher_vector(x, gmm, improved=False), naive(x, gmm), atol=1e-9)


def test_improved_is_signed_square_root_then_unit_length():
    gmm, x = mixture(), points()
    plain = naive(x, gmm)
    root = plain.sign() * plain.abs().sqrt()
    assert torch.allclose(fisher_vector(x, gmm), root / root.norm(), atol=1e-9)


def test_equals_scikit_image_except_weights_and_sign_of_deviations():
    gmm, x = mixture(), points(50)
    mixture_ = GaussianMixture(3, covariance_type="diag")
    mixture_.weights_, mixture_.means_, mixture_.covariances_ = (
        v.numpy() for v in (gmm.weights, gmm.means, gmm.variances)
    )
    mixture_.precisions_cholesky_ = mixture_.covariances_**-0.5
    reference = skimage_fisher(x.numpy(), mixture_)
    result = fisher_vector(x, gmm, improved=False).numpy()
    k, d = gmm.means.shape
    assert np.allclose(reference[k : k + k * d], result[: k * d], atol=1e-9)
    assert np.allclose(reference[k + k * d :], -result[k * d :], atol=1e-9)


def test_batch_order_and_repetition_do_not_matter():
    gmm, x = mixture(), torch.stack([points(), points(seed=5)])
    both = fisher_vector(x, gmm)
    assert torch.allclose(both[1], fisher_vector(x[1], gmm))
    assert torch.allclose(both[0], fisher_vector(x[0].flip(0), gmm))
    assert torch.allclose(both[0], fisher_vector(x[0].repeat(3, 1), gmm))


def test_float32_is_accurate_at_realistic_size():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(784, 64, generator=g).relu() * 30
    gmm = Gmm(torch.full((8,), 1 / 8), torch.rand(8, 64, generator=g) * 30, torch.rand(8, 64, generator=g) * 300 + 10)
    double = Gmm(gmm.weights.double(), gmm.means.double(), gmm.variances.double())
    assert torch.allclose(fisher_vector(x, gmm).double(), fisher_vector(x.double(), double), atol=2e-4)


def test_wrong_dimension_or_no_descriptor_raises():
    with pytest.raises(ArgumentError, match="mixture of"):
        fisher_vector(points(d=5), mixture())
    with pytest.raises(ArgumentError):
        fisher_vector(points(n=0), mixture())

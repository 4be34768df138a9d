"""Improved Fisher vectors beside scikit-image, at the sizes of FV-CNN and FV-SIFT."""

import numpy as np
import pytest
import torch

from fgbench.layers.fisher import fisher_vector
from fgbench.layers.gmm import Gmm

SIZES = {"fv_cnn": (784, 512, 64), "fv_sift": (11_236, 80, 256)}


def problem(name):
    points, dims, words = SIZES[name]
    g = torch.Generator().manual_seed(0)
    gmm = Gmm(torch.full((words,), 1 / words), torch.randn(words, dims, generator=g), torch.ones(words, dims))
    return torch.randn(points, dims, generator=g), gmm


def sklearn_mixture(gmm):
    mixture = pytest.importorskip("sklearn.mixture").GaussianMixture(len(gmm.weights), covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = (
        v.numpy() for v in (gmm.weights, gmm.means, gmm.variances)
    )
    mixture.precisions_cholesky_ = mixture.covariances_**-0.5
    return mixture


@pytest.mark.parametrize("name", SIZES)
def test_fgbench(benchmark, name):
    x, gmm = problem(name)
    benchmark.group = f"Fisher vector, {name}"
    benchmark.extra_info["points, dimensions, components"] = SIZES[name]
    vector = benchmark(fisher_vector, x, gmm)
    assert torch.allclose(vector.norm(), torch.tensor(1.0), atol=1e-4)


@pytest.mark.parametrize("name", SIZES)
def test_scikit_image(benchmark, name):
    peer = pytest.importorskip("skimage.feature").fisher_vector
    x, gmm = problem(name)
    mixture = sklearn_mixture(gmm)
    benchmark.group = f"Fisher vector, {name}"
    theirs = benchmark(peer, x.numpy(), mixture, improved=False)
    ours = fisher_vector(x, gmm, improved=False).numpy()
    k, d = gmm.means.shape
    assert np.allclose(theirs[k : k + k * d], ours[: k * d], atol=1e-4)

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from simulated_gpu import SimulatedGpu
from sklearn.mixture import GaussianMixture

from fgbench.layers import gmm as module
from fgbench.layers.gmm import Gmm, fit_gmm
from fgbench.util.errors import ArgumentError


def blobs(n=900, shift=0.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[0.0, 0, 0], [6, 0, 2], [0, 7, -3]], dtype=torch.float64)
    spread = torch.tensor([[1.0, 0.5, 1], [0.7, 1, 2], [1, 1, 0.4]], dtype=torch.float64)
    which = torch.randint(3, (n,), generator=g)
    return centres[which] + spread[which] * torch.randn(n, 3, generator=g, dtype=torch.float64) + shift


def rng():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("block", [1 << 15, 100])
def test_equals_scikit_learn_from_the_same_start(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    x = blobs(shift=50.0)
    start = x[[0, 1, 5]]
    result = fit_gmm(x, 3, generator=rng(), start=start, tolerance=1e-9, iterations=300)
    reference = GaussianMixture(3, covariance_type="diag", tol=1e-9, max_iter=300, reg_covar=0, random_state=0).fit(x)
    assert result.log_likelihood(x) == pytest.approx(reference.score(x.numpy()), abs=1e-5)
    order = result.weights.argsort()
    assert np.allclose(np.sort(reference.weights_), result.weights[order], atol=1e-4)


def test_log_joint_is_the_density():
    x = blobs(5)
    gmm = fit_gmm(blobs(), 3, generator=rng())
    for t in range(5):
        for k in range(3):
            normal = torch.distributions.Normal(gmm.means[k], gmm.variances[k].sqrt())
            expected = gmm.weights[k].log() + normal.log_prob(x[t]).sum()
            assert gmm.log_joint(x)[t, k] == pytest.approx(float(expected), abs=1e-9)


def test_each_iteration_increases_the_likelihood():
    x = blobs()
    values = [fit_gmm(x, 3, generator=rng(), iterations=i, tolerance=-1, kmeans_iterations=1).log_likelihood(x)
              for i in range(1, 12)]  # fmt: skip
    assert all(b >= a - 1e-9 for a, b in pairwise(values))


def test_is_deterministic_and_float32_agrees():
    x = blobs()
    one, two = (fit_gmm(x, 4, generator=rng()) for _ in range(2))
    assert torch.equal(one.means, two.means)
    small = fit_gmm(x.float(), 3, generator=rng())
    assert small.log_likelihood(x.float()) == pytest.approx(fit_gmm(x, 3, generator=rng()).log_likelihood(x), abs=1e-2)


def test_repeated_points_keep_variances_above_the_floor():
    x = torch.cat([torch.zeros(50, 2), torch.ones(50, 2)]).double()
    fitted = fit_gmm(x, 4, generator=rng(), variance_floor=1e-3)
    assert (fitted.variances >= 1e-3 * 0.25 * 0.999).all()
    assert torch.isfinite(fitted.means).all()
    assert fitted.weights.sum() == pytest.approx(1)


def test_misuse_raises():
    with pytest.raises(ArgumentError, match="too few for a mixture"):
        fit_gmm(torch.zeros(2, 3), 3, generator=rng())
    with pytest.raises(ArgumentError, match="not finite"):
        fit_gmm(torch.full((9, 3), torch.nan), 3, generator=rng())


def test_means_survive_a_checkpoint(tmp_path):
    fitted = fit_gmm(blobs(), 3, generator=rng())
    torch.save({"means": fitted.means}, tmp_path / "x.pt")
    assert torch.equal(torch.load(tmp_path / "x.pt", weights_only=True)["means"], fitted.means)
    assert isinstance(fitted, Gmm)


def test_a_fit_on_a_gpu_waits_only_to_decide_whether_to_go_on(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 100)
    expected = fit_gmm(blobs(), 3, generator=rng(), iterations=4, tolerance=-1, kmeans_iterations=2)
    with SimulatedGpu() as gpu:
        x = blobs().to("cuda")
        gpu.clear()
        found = fit_gmm(x, 3, generator=rng(), iterations=4, tolerance=-1, kmeans_iterations=2)
        waits = Counter(wait.partition(" at ")[0] for wait in gpu.waits)
        torch.testing.assert_close(found.means.cpu(), expected.means)
    assert waits == {"item": 2 + 4, "equal": 2, "bincount": 2 + 1}

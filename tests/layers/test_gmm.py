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


def naive_moments(x, gmm):
    """Return mass, first and second moments and log-likelihood of points (N, D), from the densities."""
    normal = torch.distributions.Normal(gmm.means, gmm.variances.sqrt())
    joint = gmm.weights.log() + normal.log_prob(x[:, None]).sum(dim=2)
    share, points = joint.softmax(dim=1), x - gmm.weights @ gmm.means
    return share.sum(dim=0), share.T @ points, share.T @ points.square(), joint.logsumexp(dim=1).sum()


@pytest.mark.parametrize(("block", "sets"), [(1 << 20, 1), (1 << 20, 3), (2 * 60 * 7, 3), (1, 1)])
@pytest.mark.parametrize(("apart", "one_each"), [(0.3, False), (10.0, True), (300.0, True)])
def test_moments_equal_a_naive_reference(monkeypatch, block, sets, apart, one_each):
    """Points of several components, of one each, and so far apart that posteriors underflow; one component has none."""
    monkeypatch.setattr(module, "_block_values", lambda x: block)
    multiplied = []
    monkeypatch.setattr(module, "product", lambda a, b: (multiplied.append(a), a @ b)[1])
    generator = torch.Generator().manual_seed(0)
    means = apart * torch.randn(40, 20, generator=generator, dtype=torch.float64)
    variances = torch.rand(40, 20, generator=generator, dtype=torch.float64) + 0.5
    gmm = Gmm(torch.full((40,), 1 / 40, dtype=torch.float64), means, variances)
    which = torch.randint(1, 40, (sets, 50), generator=generator)
    x = means[which] + torch.randn(sets, 50, 20, generator=generator, dtype=torch.float64)
    moments = gmm.moments(x, likelihood=True)
    assert bool(multiplied) != one_each
    expected = [naive_moments(points, gmm) for points in x]
    for number, values in enumerate((moments.mass, moments.first, moments.second)):
        reference = torch.stack([each[number] for each in expected])
        torch.testing.assert_close(values, reference, rtol=1e-9, atol=1e-9 * float(reference.abs().max()))
    assert float(moments.log_likelihood) == pytest.approx(float(sum(each[3] for each in expected)), rel=1e-9)


def test_posteriors_that_underflow_do_not_become_subnormal(monkeypatch):
    """Subnormal numbers in a product take many times as long."""
    seen = []
    monkeypatch.setattr(module, "_weighted_sums", lambda share, x: (seen.append(share), share.transpose(1, 2) @ x)[1])
    gmm = Gmm(torch.full((2,), 0.5), torch.tensor([[0.0], [1.0]]), torch.full((2, 1), 0.01))
    gmm.moments(torch.linspace(-2, 2, 500).view(1, -1, 1))
    (share,) = seen
    assert share.min() > torch.finfo(torch.float32).tiny
    assert share.max() == 1


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

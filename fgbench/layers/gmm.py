"""Gaussian mixtures with diagonal covariances, fitted by expectation maximisation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fgbench.errors import FgbenchError

BLOCK = 1 << 15
"""Points at a time, which bounds the memory of a pass."""


@dataclass(frozen=True, slots=True)
class Gmm:
    """A mixture of K Gaussians in D dimensions."""

    weights: Tensor
    """(K,), sums to one."""
    means: Tensor
    """(K, D)"""
    variances: Tensor
    """(K, D)"""

    def log_joint(self, x: Tensor) -> Tensor:
        """log(weight * density) of points (..., D) under each component, (..., K).

        The square is expanded about the mean of the mixture, so that two matrix products do the work and the
        expansion stays exact enough in float32 for data far from the origin.
        """
        centre = self.weights @ self.means
        means, precision = self.means - centre, 1 / self.variances
        constant = (
            self.weights.log()
            - 0.5 * (means.square() * precision).sum(1)
            - 0.5 * self.variances.log().sum(1)
            - 0.5 * self.means.shape[1] * math.log(2 * math.pi)
        )
        x = x - centre
        return constant + x @ (means * precision).T - 0.5 * x.square() @ precision.T

    def posteriors(self, x: Tensor) -> Tensor:
        """Probability of each component given each point: (..., D) to (..., K)."""
        return self.log_joint(x).softmax(dim=-1)

    def log_likelihood(self, x: Tensor) -> float:
        """Mean log density of points (N, D)."""
        total = sum(float(self.log_joint(block).logsumexp(dim=1).double().sum()) for block in _blocks(x))
        return total / len(x)


def fit_gmm(
    x: Tensor,
    components: int,
    *,
    generator: torch.Generator,
    iterations: int = 100,
    tolerance: float = 1e-4,
    variance_floor: float = 1e-4,
    kmeans_iterations: int = 25,
    start: Tensor | None = None,
) -> Gmm:
    """Fit a mixture by k-means++ (Arthur and Vassilvitskii, SODA 2007), k-means, then EM.

    Args:
        x: (N, D) points, float32 or float64.
        components: K.
        generator: draws the first centres.
        iterations: of EM at most.
        tolerance: EM stops when the mean log-likelihood rises by less.
        variance_floor: least variance, as a share of the largest variance of the data in any dimension
            (VLFeat's covariance bound in the official B-CNN code).
        kmeans_iterations: of k-means at most.
        start: (K, D) first centres instead of k-means++.

    Raises:
        FgbenchError: fewer points than components, or points that are not finite.
    """
    if x.dim() != 2 or len(x) < components:
        raise FgbenchError(f"{components} components need as many points; here are {tuple(x.shape)}")
    if not torch.isfinite(x).all():
        raise FgbenchError("a Gaussian mixture of points that are not finite")
    shift = x.mean(dim=0)
    x = x - shift
    floor = max(variance_floor * float(x.var(dim=0, correction=0).max()), torch.finfo(x.dtype).tiny * 1e6)
    centres = start - shift if start is not None else _first_centres(x, components, generator)
    gmm = _from_clusters(x, _kmeans(x, centres, kmeans_iterations), components, floor)
    last = -math.inf
    for _ in range(iterations):
        gmm, likelihood = _em_step(x, gmm, floor)
        if likelihood - last < tolerance:
            break
        last = likelihood
    return Gmm(gmm.weights, gmm.means + shift, gmm.variances)


def _blocks(x: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(x), BLOCK):
        yield x[start : start + BLOCK]


def _first_centres(x: Tensor, components: int, generator: torch.Generator) -> Tensor:
    """k-means++ on at most 100 points a component."""
    chosen = torch.randperm(len(x), generator=generator)[: 100 * components].to(x.device)
    sample = x[chosen]
    centres = [sample[0]]
    distance = (sample - centres[0]).square().sum(1)
    for _ in range(1, components):
        total = distance.cumsum(0, dtype=torch.float64)
        draw = torch.rand(1, generator=generator, dtype=torch.float64).to(x.device) * total[-1]
        row = int(torch.searchsorted(total, draw).clamp(max=len(sample) - 1))
        centres.append(sample[row])
        distance = torch.minimum(distance, (sample - sample[row]).square().sum(1))
    return torch.stack(centres)


def _kmeans(x: Tensor, centres: Tensor, iterations: int) -> Tensor:
    """Nearest centre of each point after Lloyd's iterations; a centre that loses all its points stays where it is."""
    labels = torch.full((len(x),), -1, device=x.device)
    for _ in range(iterations):
        half = 0.5 * centres.square().sum(1)
        nearest = torch.cat([(block @ centres.T - half).argmax(dim=1) for block in _blocks(x)])
        if torch.equal(nearest, labels):
            break
        labels = nearest
        count = torch.bincount(labels, minlength=len(centres)).to(x.dtype)
        sums = torch.zeros_like(centres).index_add_(0, labels, x)
        centres = torch.where(count[:, None] > 0, sums / count.clamp(min=1)[:, None], centres)
    return labels


def _from_clusters(x: Tensor, labels: Tensor, components: int, floor: float) -> Gmm:
    """Moments of each cluster; an empty one gets the whole data's."""
    count = torch.bincount(labels, minlength=components).to(x.dtype)
    zero = torch.zeros(components, x.shape[1], dtype=x.dtype, device=x.device)
    safe = count.clamp(min=1)[:, None]
    means = zero.index_add(0, labels, x) / safe
    squares = zero.index_add(0, labels, x.square()) / safe
    whole = x.var(dim=0, correction=0).expand_as(means)
    variances = torch.where(count[:, None] > 1, squares - means.square(), whole).clamp(min=floor)
    weights = count.clamp(min=1)
    return Gmm(weights / weights.sum(), means, variances)


def _em_step(x: Tensor, gmm: Gmm, floor: float) -> tuple[Gmm, float]:
    """One iteration; returns the new mixture and the mean log-likelihood of the old one."""
    components, dims = gmm.means.shape
    count = torch.zeros(components, dtype=torch.float64, device=x.device)
    sums, squares = torch.zeros(2, components, dims, dtype=torch.float64, device=x.device)
    likelihood = 0.0
    for block in _blocks(x):
        joint = gmm.log_joint(block)
        total = joint.logsumexp(dim=1, keepdim=True)
        likelihood += float(total.double().sum())
        share = (joint - total).exp()
        count += share.double().sum(0)
        sums += (share.T @ block).double()
        squares += (share.T @ block.square()).double()
    safe = count.clamp(min=1e-10)[:, None]
    means = sums / safe
    variances = (squares / safe - means.square()).clamp(min=floor)
    weights = count.clamp(min=1e-10 * len(x))
    new = Gmm((weights / weights.sum()).to(x.dtype), means.to(x.dtype), variances.to(x.dtype))
    return new, likelihood / len(x)

"""Gaussian mixtures with diagonal covariances, fitted by expectation maximisation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.matmul import linear, product

BLOCK = 1 << 13
"""Points whose sums are taken in the precision of the points; those of blocks are added in float64."""


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
        """log(weight * density) of points (..., D) under each component, (..., K)."""
        centre, slope, constant = self._linear()
        return constant + _lifted(x, centre) @ slope

    def posteriors(self, x: Tensor) -> Tensor:
        """Probability of each component given each point: (..., D) to (..., K)."""
        return self.log_joint(x).softmax(dim=-1)

    def log_likelihood(self, x: Tensor) -> float:
        """Mean log density of points (N, D)."""
        total = sum(float(self.log_joint(block).logsumexp(dim=1).double().sum()) for block in _blocks(x))
        return total / len(x)

    def moments(self, x: Tensor, *, likelihood: bool = False) -> "Moments":
        """Sums over points (B, N, D) of the powers of each, weighted by its posteriors; their likelihood if asked."""
        centre, slope, constant = self._linear()
        batch, _, dims = x.shape
        mass, powers = x.new_zeros(batch, len(constant)), x.new_zeros(batch, len(constant), 2 * dims)
        log_likelihood = 0.0 if likelihood else math.nan
        rows = max(1, _block_values(x) // (batch * max(len(constant), 2 * dims)))
        for block in torch.split(x, rows, dim=1):
            lifted = _lifted(block, centre)
            joint = linear(lifted.flatten(0, 1), slope.T, constant).view(batch, -1, len(constant))
            share = joint.softmax(dim=2)
            if likelihood:
                top = joint.max(dim=2, keepdim=True)
                log_likelihood += float((top.values - share.gather(2, top.indices).log()).double().sum())
            mass += share.sum(dim=1)
            powers += _weighted_sums(share, lifted)
        return Moments(centre, mass, powers[:, :, :dims], powers[:, :, dims:], log_likelihood)

    def _linear(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean of the mixture (D,), and what makes log densities linear in the powers of points about it.

        About the mean the expansion of the square stays exact enough in float32 for data far from the origin.
        """
        centre = self.weights @ self.means
        means, precision = self.means - centre, 1 / self.variances
        constant = (
            self.weights.log()
            - 0.5 * (means.square() * precision).sum(1)
            - 0.5 * self.variances.log().sum(1)
            - 0.5 * self.means.shape[1] * math.log(2 * math.pi)
        )
        return centre, torch.cat([means * precision, -0.5 * precision], dim=1).T, constant


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the points of each of B sets, taken about `centre` and weighted by posteriors."""

    centre: Tensor
    """(D,)"""
    mass: Tensor
    """(B, K), sums of the posteriors."""
    first: Tensor
    """(B, K, D), sums of the points."""
    second: Tensor
    """(B, K, D), sums of their squares."""
    log_likelihood: float
    """Of all points together; NaN where it was not asked for."""


def _lifted(x: Tensor, centre: Tensor) -> Tensor:
    """(..., D) to (..., 2 D): points about `centre` and their squares, so that one product of matrices serves both."""
    lifted = x.new_empty(*x.shape[:-1], 2 * x.shape[-1])
    points, squares = lifted.chunk(2, dim=-1)
    torch.sub(x, centre, out=points)
    torch.mul(points, points, out=squares)
    return lifted


def _weighted_sums(share: Tensor, x: Tensor) -> Tensor:
    """(B, N, K) weights of points (B, N, D) to (B, K, D).

    In many dimensions nearly every point belongs to one component alone. Weights too small to change a digit are then
    passed over, as VLFeat does with those below 1e-6.
    """
    if share.device.type != "cpu" or len(share) > 1:
        return share.transpose(1, 2) @ x
    kept = share.transpose(1, 2) > torch.finfo(share.dtype).eps / 128
    count = kept.sum(dim=2)
    if 32 * int(count.sum()) > share.numel():
        return product(share[0].T, x[0])[None]
    points = kept[0].nonzero()[:, 1]
    starts = count[0].cumsum(0) - count[0]
    weights = share[0].T[kept[0]]
    return F.embedding_bag(points, x[0], starts, mode="sum", per_sample_weights=weights)[None]


def _block_values(x: Tensor) -> int:
    """Values of a block's posteriors: what stays in a core's cache; on a GPU, what keeps it busy."""
    return 1 << 19 if x.device.type == "cpu" else 1 << 26


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
    found = [gmm.moments(block[None], likelihood=True) for block in _blocks(x)]
    count, sums, squares = (
        torch.stack([getattr(part, name)[0].double() for part in found]).sum(dim=0)
        for name in ("mass", "first", "second")
    )
    centre, likelihood = found[0].centre.double(), sum(part.log_likelihood for part in found)
    safe = count.clamp(min=1e-10)[:, None]
    means = sums / safe
    variances = (squares / safe - means.square()).clamp(min=floor)
    weights = count.clamp(min=1e-10 * len(x))
    new = Gmm((weights / weights.sum()).to(x.dtype), (means + centre).to(x.dtype), variances.to(x.dtype))
    return new, likelihood / len(x)

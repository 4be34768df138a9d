"""Gaussian mixtures with diagonal covariances, fitted by expectation maximisation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.deterministic import running_sum
from fgbench.util.numeric.devices import to_device
from fgbench.util.numeric.matmul import linear, product
from fgbench.util.numeric.precision import without_autocast

BLOCK = 1 << 13
"""Points per block. Sums within a block have the precision of the points; blocks are added in float64."""
SMALLEST = -80.0
"""Lower limit of the logarithm of a posterior, relative to the largest one of its point. Smaller posteriors change no
sum, but float32 stores them with fewer digits, and processors compute slowly with such numbers."""


class LinearForm(NamedTuple):
    """The log densities as linear functions of the points and their squares.

    Points are taken relative to the mean of the mixture: the expanded square then stays accurate in float32 for data
    far from the origin.
    """

    centre: Tensor
    """(D,), mean of the mixture."""
    means: Tensor
    """(K, D), means of the components relative to `centre`."""
    slope: Tensor
    """(2 D, K), factors of the points and of their squares."""
    constant: Tensor
    """(K,)."""


@dataclass(frozen=True, slots=True)
class Gmm:
    """A mixture of K Gaussians with diagonal covariances in D dimensions.

    Example:
        >>> import torch
        >>> means = torch.tensor([[-1.0], [1.0]])
        >>> gmm = Gmm(weights=torch.tensor([0.5, 0.5]), means=means, variances=torch.ones(2, 1))
        >>> gmm.posteriors(torch.tensor([[0.0], [0.5]]))
        tensor([[0.5000, 0.5000],
                [0.2689, 0.7311]])
    """

    weights: Tensor
    """(K,), of sum one."""
    means: Tensor
    """(K, D), centres of the components."""
    variances: Tensor
    """(K, D), diagonals of the covariances."""
    form: LinearForm = field(init=False, repr=False, compare=False)
    """The log densities of all points are computed from it."""

    def __post_init__(self) -> None:
        with without_autocast(self.means.device.type):
            object.__setattr__(self, "form", self._linear_form())

    def log_joint(self, x: Tensor) -> Tensor:
        """Compute log(weight * density) of points (..., D) under each component: (..., K)."""
        lifted = x.new_empty(*x.shape[:-1], 2 * x.shape[-1])
        return self.form.constant + _lift(x, self.form.centre, lifted) @ self.form.slope

    def posteriors(self, x: Tensor) -> Tensor:
        """Compute the probability of each component given each point (..., D): (..., K)."""
        return self.log_joint(x).softmax(dim=-1)

    def log_likelihood(self, x: Tensor) -> float:
        """Compute the mean log density of points (N, D)."""
        total = sum(float(self.log_joint(block).logsumexp(dim=1).double().sum()) for block in _blocks(x))
        return total / len(x)

    def moments(self, x: Tensor, *, likelihood: bool = False) -> "Moments":
        """Compute the sums of points and of their squares, weighted by the posteriors.

        Args:
            x: (B, N, D) points.
            likelihood: compute the log-likelihood, too.
        """
        centre, _, slope, constant = self.form
        (batch, count, dims), components = x.shape, len(constant)
        mass, powers = x.new_zeros(batch, components), x.new_zeros(batch, components, 2 * dims)  # (B, K), (B, K, 2 D)
        log_likelihood = x.new_full((), 0.0 if likelihood else math.nan, dtype=torch.float64)
        # On a CPU, one set at a time, so that its block stays in the cache.
        sets = 1 if x.is_cpu else batch
        rows = min(count, max(1, _block_values(x) // (2 * sets * (components + dims))))
        memory = x.new_empty(sets * rows * 2 * dims)
        for first in range(0, batch, sets):
            for block in torch.split(x[first : first + sets], rows, dim=1):
                lifted = _lift(block, centre, memory[: 2 * block.numel()].view(sets, -1, 2 * dims))  # (B, n, 2 D)
                joint = linear(lifted.flatten(0, 1), slope.T, constant).view(sets, -1, components)
                top = joint.amax(dim=2, keepdim=True)
                share = joint.clamp_(min=top + SMALLEST).softmax(dim=2)  # (B, n, K), the posteriors
                if likelihood:
                    log_likelihood += (top[:, :, 0] - share.amax(dim=2).log()).double().sum()
                mass[first : first + sets] += share.sum(dim=1)
                powers[first : first + sets] += _weighted_sums(share, lifted)
        return Moments(centre, mass, powers[:, :, :dims], powers[:, :, dims:], log_likelihood)

    def _linear_form(self) -> LinearForm:
        centre = self.weights @ self.means
        means, precision = self.means - centre, 1 / self.variances
        constant = (
            self.weights.log()
            - 0.5 * (means.square() * precision).sum(1)
            - 0.5 * self.variances.log().sum(1)
            - 0.5 * self.means.shape[1] * math.log(2 * math.pi)
        )
        return LinearForm(centre, means, torch.cat([(means * precision).T, -0.5 * precision.T]), constant)


@dataclass(frozen=True, slots=True)
class Moments:
    """Posterior-weighted sums over the points of B sets; points are taken relative to `centre`."""

    centre: Tensor
    """(D,), mean of the mixture."""
    mass: Tensor
    """(B, K), sums of the posteriors."""
    first: Tensor
    """(B, K, D), sums of the points."""
    second: Tensor
    """(B, K, D), sums of their squares."""
    log_likelihood: Tensor
    """(), log-likelihood of all points together; NaN if not computed."""


def _lift(x: Tensor, centre: Tensor, out: Tensor) -> Tensor:
    """Return points (..., D) relative to `centre`, and their squares, in `out` (..., 2 D) for one matrix product."""
    points, squares = out.chunk(2, dim=-1)
    torch.sub(x, centre, out=points)
    torch.mul(points, points, out=squares)
    return out


def _weighted_sums(share: Tensor, x: Tensor) -> Tensor:
    """Compute the sums (B, K, D) of points x (B, N, D) with weights `share` (B, N, K); on a CPU, B is 1.

    In many dimensions nearly every point belongs to a single component. On a CPU, weights that are too small to change
    a digit are then skipped. VLFeat skips those below 1e-6.
    """
    if not share.is_cpu:
        return share.transpose(1, 2) @ x
    weights, components = share[0].numpy(), share.shape[2]
    kept = np.flatnonzero(weights > torch.finfo(share.dtype).eps / 128)
    if 32 * len(kept) > weights.size:
        return product(share[0].T, x[0])[None]
    # Sort the kept weights by component and add their points.
    kept = kept[(kept % components).argsort(kind="stable")]
    first = (kept % components).searchsorted(np.arange(components))
    points, starts, kept_weights = (torch.from_numpy(v) for v in (kept // components, first, weights.take(kept)))
    return F.embedding_bag(points, x[0], starts, mode="sum", per_sample_weights=kept_weights)[None]


def _block_values(x: Tensor) -> int:
    """Return the number of values per block: few enough for the cache of a processor, or enough to use a whole GPU."""
    return 1 << 20 if x.is_cpu else 1 << 26


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
        generator: source of the initial centres.
        iterations: maximum number of EM iterations.
        tolerance: EM stops when the mean log-likelihood increases by less.
        variance_floor: lower limit of the variances, as a fraction of the largest variance of the data in any
            dimension (VLFeat's covariance bound in the official B-CNN code).
        kmeans_iterations: maximum number of k-means iterations.
        start: (K, D) initial centres that replace k-means++.

    Returns:
        The mixture.

    Raises:
        ArgumentError: the points are not (N, D), fewer than the components, or not finite.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [2.0], [10.0], [12.0]], dtype=torch.float64)
        >>> fit_gmm(x, 2, generator=torch.Generator(), start=x[[0, 2]]).means.round().tolist()
        [[1.0], [11.0]]
    """
    if x.dim() != 2 or len(x) < components:
        raise ArgumentError(f"points {tuple(x.shape)} are too few for a mixture of {components} components")
    if not torch.isfinite(x).all():
        raise ArgumentError("the points for the Gaussian mixture are not finite")
    # Centre the data, which keeps float32 accurate.
    shift = x.mean(dim=0)
    x = x - shift
    floor = max(variance_floor * float(x.var(dim=0, correction=0).max()), torch.finfo(x.dtype).tiny * 1e6)
    # Initialise by k-means++ and k-means.
    centres = start - shift if start is not None else _first_centres(x, components, generator)
    gmm = _from_clusters(x, _kmeans(x, centres, kmeans_iterations), components, floor)
    # Iterate EM until the likelihood stops rising. On a GPU, the host waits once in each iteration.
    last = -math.inf
    for _ in range(iterations):
        gmm, mean_likelihood = _em_step(x, gmm, floor)
        likelihood = float(mean_likelihood)
        if likelihood - last < tolerance:
            break
        last = likelihood
    return Gmm(gmm.weights, gmm.means + shift, gmm.variances)


def _blocks(x: Tensor) -> Iterator[Tensor]:
    """Split points (N, D) into blocks of `BLOCK` points."""
    for start in range(0, len(x), BLOCK):
        yield x[start : start + BLOCK]


def _first_centres(x: Tensor, components: int, generator: torch.Generator) -> Tensor:
    """Draw centres (K, D) by k-means++ on at most 100 points per component."""
    rows = torch.randperm(len(x), generator=generator)[: 100 * components]
    draws = torch.rand(components - 1, generator=generator, dtype=torch.float64)
    sample = x[to_device(rows, x.device)]
    centres = [sample[0]]
    distance = (sample - centres[0]).square().sum(1)
    for draw in to_device(draws, x.device):
        total = running_sum(distance[None].double())[0]
        row = torch.searchsorted(total, draw[None] * total[-1]).clamp(max=len(sample) - 1)
        centres.append(sample.index_select(0, row)[0])
        distance = torch.minimum(distance, (sample - centres[-1]).square().sum(1))
    return torch.stack(centres)


def _kmeans(x: Tensor, centres: Tensor, iterations: int) -> Tensor:
    """Run Lloyd's iterations and return the index of the nearest centre of each point (N,).

    A centre without points does not move.
    """
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
    """Build a mixture from the moments of each cluster.

    A cluster of fewer than two points gets the variance of all data.
    """
    count = torch.bincount(labels, minlength=components).to(x.dtype)
    zero = torch.zeros(components, x.shape[1], dtype=x.dtype, device=x.device)
    safe = count.clamp(min=1)[:, None]
    means = zero.index_add(0, labels, x) / safe
    squares = zero.index_add(0, labels, x.square()) / safe
    whole = x.var(dim=0, correction=0).expand_as(means)
    variances = torch.where(count[:, None] > 1, squares - means.square(), whole).clamp(min=floor)
    weights = count.clamp(min=1)
    return Gmm(weights / weights.sum(), means, variances)


def _em_step(x: Tensor, gmm: Gmm, floor: float) -> tuple[Gmm, Tensor]:
    """Run one EM iteration; return the new mixture and the mean log-likelihood of the old one."""
    # E step: moments of each block, added in float64.
    block_moments = [gmm.moments(block[None], likelihood=True) for block in _blocks(x)]
    count, sums, squares = (
        torch.stack([getattr(moments, name)[0].double() for moments in block_moments]).sum(dim=0)
        for name in ("mass", "first", "second")
    )
    centre = block_moments[0].centre.double()
    likelihood: Tensor = sum(moments.log_likelihood for moments in block_moments)  # type: ignore[assignment]
    # M step.
    safe = count.clamp(min=1e-10)[:, None]
    means = sums / safe
    variances = (squares / safe - means.square()).clamp(min=floor)
    weights = count.clamp(min=1e-10 * len(x))
    new = Gmm((weights / weights.sum()).to(x.dtype), (means + centre).to(x.dtype), variances.to(x.dtype))
    return new, likelihood / len(x)

"""Principal component analysis of local descriptors."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.precision import full_precision


@dataclass(frozen=True, slots=True)
class Pca:
    """A projection onto principal components.

    Example:
        >>> import torch
        >>> pca = Pca(mean=torch.tensor([1.0, 1.0]), components=torch.tensor([[0.0, 1.0]]))
        >>> pca.project(torch.tensor([[5.0, 3.0]])).tolist()
        [[2.0]]
    """

    mean: Tensor
    """(D,), mean of the points."""
    components: Tensor
    """(d, D), orthonormal rows in order of decreasing variance."""

    @full_precision
    def project(self, x: Tensor) -> Tensor:
        """Project points (..., D) to (..., d)."""
        return (x - self.mean) @ self.components.T


def fit_pca(x: Tensor, dims: int) -> Pca:
    """Fit the directions of largest variance.

    Args:
        x: (N, D) points.
        dims: d, number of directions.

    Returns:
        The projection; the entry of largest magnitude of each direction is positive.

    Raises:
        ArgumentError: there are fewer points or dimensions than `dims`, or a value is not finite.

    Example:
        >>> import torch
        >>> fit_pca(torch.tensor([[0.0, 0.0], [3.0, 4.0], [-3.0, -4.0]]), dims=1).components
        tensor([[0.6000, 0.8000]])
    """
    if x.dim() != 2 or min(x.shape) < dims:
        raise ArgumentError(f"points {tuple(x.shape)} are too few for a PCA to {dims} dimensions")
    if not torch.isfinite(x).all():
        raise ArgumentError("the points for the PCA are not finite")
    mean = x.double().mean(dim=0)  # (D,)
    centred = x - mean.to(x.dtype)
    covariance = (centred.T @ centred).double() / (len(x) - 1)  # (D, D)
    return Pca(mean.to(x.dtype), _directions(covariance, dims).to(x.dtype))


def fit_pca_of_maps(maps: Iterable[Tensor], dims: int) -> Pca:
    """Fit the directions of largest variance of the cells of maps, which need not be in memory together.

    Args:
        maps: batches (B, D, H, W).
        dims: d, number of directions.

    Returns:
        As `fit_pca` of all cells.

    Raises:
        ArgumentError: as for `fit_pca`.

    Example:
        >>> import torch
        >>> maps = torch.tensor([[0.0, 3.0, -3.0], [0.0, 4.0, -4.0]])[None, :, None]
        >>> fit_pca_of_maps([maps], dims=1).components
        tensor([[0.6000, 0.8000]])
    """
    count, total, products = 0, torch.zeros(()).double(), torch.zeros(()).double()
    for batch in maps:
        cells = batch.movedim(1, -1).flatten(0, -2).double()  # (B * H * W, D)
        count += len(cells)
        total = total.to(cells.device) + cells.sum(dim=0)
        products = products.to(cells.device) + cells.T @ cells
        dtype = batch.dtype
    if count <= 1 or min(count, len(products)) < dims:
        raise ArgumentError(f"{count} cells of maps are too few for a PCA to {dims} dimensions")
    if not torch.isfinite(products).all():
        raise ArgumentError("the maps for the PCA are not finite")
    mean = total / count  # (D,)
    covariance = (products - count * torch.outer(mean, mean)) / (count - 1)  # (D, D)
    return Pca(mean.to(dtype), _directions(covariance, dims).to(dtype))


def _directions(covariance: Tensor, dims: int) -> Tensor:
    """Return the directions (d, D) of largest variance; the entry of largest magnitude of each is positive."""
    _, vectors = torch.linalg.eigh(covariance)  # ascending eigenvalues
    components = vectors.flip(1)[:, :dims].T  # (d, D)
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    directions: Tensor = (components * largest.sign()).contiguous()
    return directions

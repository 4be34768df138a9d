"""Principal component analysis of local descriptors."""

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
    _, vectors = torch.linalg.eigh(covariance)  # ascending eigenvalues
    components = vectors.flip(1)[:, :dims].T  # (d, D)
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return Pca(mean.to(x.dtype), (components * largest.sign()).to(x.dtype).contiguous())

"""Principal component analysis of local descriptors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fgbench.util.errors import FgbenchError


@dataclass(frozen=True, slots=True)
class Pca:
    """A projection onto principal components."""

    mean: Tensor
    """(D,)"""
    components: Tensor
    """(d, D), orthonormal rows, the largest variance first."""

    def project(self, x: Tensor) -> Tensor:
        """(..., D) to (..., d)."""
        return (x - self.mean) @ self.components.T


def fit_pca(x: Tensor, dims: int) -> Pca:
    """The `dims` directions of largest variance of x (N, D), each signed so that its largest entry is positive.

    Raises:
        FgbenchError: fewer points or dimensions than `dims`, or a value that is not finite.
    """
    if x.dim() != 2 or min(x.shape) < dims:
        raise FgbenchError(f"PCA to {dims} dimensions of points of shape {tuple(x.shape)}")
    if not torch.isfinite(x).all():
        raise FgbenchError("PCA of points that are not finite")
    mean = x.double().mean(dim=0)
    centred = x - mean.to(x.dtype)
    covariance = (centred.T @ centred).double() / (len(x) - 1)
    _, vectors = torch.linalg.eigh(covariance)
    components = vectors.flip(1)[:, :dims].T
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return Pca(mean.to(x.dtype), (components * largest.sign()).to(x.dtype).contiguous())

"""Improved Fisher vectors (Perronnin, Sanchez and Mensink, ECCV 2010)."""

import math

import torch
from torch import Tensor

from fgbench.layers.gmm import Gmm
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.precision import full_precision


@full_precision
def fisher_vector(x: Tensor, gmm: Gmm, *, improved: bool = True) -> Tensor:
    """Compute the Fisher vector of local descriptors: gradients of their log-likelihood under a mixture.

    Args:
        x: (N, D) descriptors of one image, or (B, N, D) of several images.
        gmm: mixture of K components.
        improved: apply the signed square root and l2 normalisation, as VLFeat's option `Improved`.

    Returns:
        (2 K D,) or (B, 2 K D): the K D gradients for the means, component by component, then those for the standard
        deviations (equations 16 and 17), with the signs of Perronnin et al. and VLFeat.

    Raises:
        ArgumentError: there are no descriptors, or their dimension is not that of the mixture.

    Example:
        >>> import torch
        >>> gmm = Gmm(weights=torch.ones(1), means=torch.zeros(1, 1), variances=torch.ones(1, 1))
        >>> fisher_vector(torch.tensor([[1.0], [3.0]]), gmm, improved=False)
        tensor([2.0000, 2.8284])
    """
    if x.dim() == 2:
        return fisher_vector(x[None], gmm, improved=improved)[0]
    if x.dim() != 3 or not x.shape[1] or x.shape[2] != gmm.means.shape[1]:
        raise ArgumentError(f"descriptors {tuple(x.shape)} do not fit a mixture of means {tuple(gmm.means.shape)}")
    batch, count, _ = x.shape

    # Posterior-weighted sums of the descriptors and their squares: mass (B, K, 1), first and second (B, K, D).
    sums = gmm.moments(x)
    mass, means, scale = sums.mass[:, :, None], gmm.form.means, count * gmm.weights.sqrt()[:, None]

    # Gradients for means and standard deviations, (B, K, D) each.
    gradients = x.new_empty(batch, 2, *means.shape)
    by_mean, by_deviation = gradients.unbind(1)
    torch.addcmul(sums.first, mass, means, value=-1, out=by_mean).div_(gmm.variances.sqrt() * scale)
    torch.addcmul(sums.second, means, sums.first, value=-2, out=by_deviation)
    by_deviation.addcmul_(mass, means.square() - gmm.variances).div_(gmm.variances * (math.sqrt(2) * scale))
    vector = gradients.flatten(1)  # (B, 2 K D)
    if not improved:
        return vector

    # Signed square root and l2 norm.
    root = vector.abs().sqrt_().copysign_(vector)
    length: Tensor = torch.linalg.vector_norm(root, dim=1, keepdim=True)
    return root.div_(length.clamp(min=torch.finfo(x.dtype).tiny))

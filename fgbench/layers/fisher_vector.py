"""Improved Fisher vectors (Perronnin, Sanchez and Mensink, ECCV 2010)."""

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
    if x.device.type == "cpu" and batch > 1:  # one image at a time stays in the cache
        return torch.cat([fisher_vector(image[None], gmm, improved=improved) for image in x])

    # Posterior-weighted sums of the descriptors and their squares: mass (B, K), first and second (B, K, D).
    sums = gmm.moments(x)
    means, deviation, mass = gmm.means - sums.centre, gmm.variances.sqrt(), sums.mass[:, :, None]

    # Gradients for means and standard deviations, (B, K, D) each.
    by_mean = (sums.first - mass * means) / deviation / (count * gmm.weights.sqrt()[:, None])
    spread = sums.second - 2 * means * sums.first + mass * (means.square() - gmm.variances)
    by_deviation = spread / gmm.variances / (count * (2 * gmm.weights).sqrt()[:, None])
    vector = torch.cat([by_mean.reshape(batch, -1), by_deviation.reshape(batch, -1)], dim=1)  # (B, 2 K D)
    if not improved:
        return vector

    # Signed square root and l2 norm.
    vector = vector.sign() * vector.abs().sqrt()
    length: Tensor = torch.linalg.vector_norm(vector, dim=1, keepdim=True)
    return vector / length.clamp(min=torch.finfo(x.dtype).tiny)

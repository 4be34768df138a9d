"""Improved Fisher vectors (Perronnin, Sanchez and Mensink, ECCV 2010)."""

import torch
from torch import Tensor

from fgbench.layers.gmm import Gmm
from fgbench.util.errors import FgbenchError


def fisher_vector(x: Tensor, gmm: Gmm, *, improved: bool = True) -> Tensor:
    """Gradients of the log-likelihood of local descriptors with respect to means and deviations of a mixture.

    Args:
        x: (N, D) descriptors of an image, or (B, N, D) of several.
        gmm: K components.
        improved: signed square root, then l2 norm, as VLFeat's `Improved`.

    Returns:
        (2 K D,) or (B, 2 K D): the K D values for the means, component by component, then those for the deviations,
        with the signs of Perronnin and VLFeat.

    Raises:
        FgbenchError: no descriptors, or not of the mixture's dimension.
    """
    if x.dim() == 2:
        return fisher_vector(x[None], gmm, improved=improved)[0]
    batch, count, dims = x.shape
    if not count or dims != gmm.means.shape[1]:
        raise FgbenchError(f"Fisher vector of descriptors {tuple(x.shape)} by a mixture of {tuple(gmm.means.shape)}")
    if x.device.type == "cpu" and batch > 1:  # an image at a time stays in the cache
        return torch.cat([fisher_vector(image[None], gmm, improved=improved) for image in x])
    sums = gmm.moments(x)
    means, deviation, mass = gmm.means - sums.centre, gmm.variances.sqrt(), sums.mass[:, :, None]
    by_mean = (sums.first - mass * means) / deviation / (count * gmm.weights.sqrt()[:, None])
    spread = sums.second - 2 * means * sums.first + mass * (means.square() - gmm.variances)
    by_deviation = spread / gmm.variances / (count * (2 * gmm.weights).sqrt()[:, None])
    vector = torch.cat([by_mean.reshape(batch, -1), by_deviation.reshape(batch, -1)], dim=1)
    if not improved:
        return vector
    vector = vector.sign() * vector.abs().sqrt()
    length: Tensor = torch.linalg.vector_norm(vector, dim=1, keepdim=True)
    return vector / length.clamp(min=torch.finfo(x.dtype).tiny)

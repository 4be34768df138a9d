"""Products of matrices on the CPU by the faster of torch's two libraries.

torch hands products of float32 matrices to its BLAS. Where that is MKL and the processor is not Intel's, it does
without AVX-512; oneDNN, which torch takes for convolutions, does not. On an AMD EPYC that makes 100 against 220
GFLOP/s a core.
"""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def product(a: Tensor, b: Tensor) -> Tensor:
    """The product of matrices (M, K) and (K, N); by `@` wherever a gradient has to pass."""
    return linear(a, b.T)


def array_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`product` of arrays, which may be mapped from files that are only read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return product(torch.from_numpy(a), torch.from_numpy(b)).numpy()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product of (M, K) and the transpose of (N, K), plus (N,); by torch's own where a gradient has to pass."""
    gradient = torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in (x, weight, bias))
    served = HAS_ONEDNN and x.is_cpu and x.dtype == weight.dtype == torch.float32 and x.numel() > 0
    if gradient or not served or torch.compiler.is_compiling():
        return F.linear(x, weight, bias)
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def _find_onednn() -> bool:
    """Whether this torch has the operation, and it gives what it should."""
    x, weight = torch.eye(3), torch.arange(6.0).view(2, 3)
    try:
        return torch.equal(torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], ""), weight.T)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False


HAS_ONEDNN = _find_onednn()

"""Matrix products on the CPU with oneDNN.

torch computes products of float32 matrices with its BLAS. If this is MKL, it uses AVX-512 only on processors of Intel.
oneDNN, which torch uses for convolutions, uses it on all. On an AMD EPYC, MKL reaches 100 GFLOP/s per core and oneDNN
220 GFLOP/s.
"""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return the product (M, N) of matrices (M, K) and (K, N). If a gradient is needed, torch computes it."""
    return linear(a, b.T)


def array_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the `product` of arrays; they can be mapped read-only from files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return product(torch.from_numpy(a), torch.from_numpy(b)).numpy()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x @ weight.T + bias` of shape (M, N). If a gradient is needed, torch computes it.

    Args:
        x: Matrix (M, K).
        weight: Matrix (N, K).
        bias: Vector (N,).
    """
    gradient = torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in (x, weight, bias))
    if gradient or not _is_served(x, weight):
        return F.linear(x, weight, bias)
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def inner_products(x: Tensor) -> Tensor:
    """Return `x @ x.T` of shape (M, M) without a gradient; on a CPU, the BLAS of NumPy computes half of it."""
    if not x.is_cpu:
        return product(x, x.T)
    values = x.numpy()
    return torch.from_numpy(values @ values.T)  # NumPy computes one triangle if both matrices are the same memory


def transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """Return `a.T @ b` of shape (M, N) of matrices (K, M) and (K, N) without a gradient.

    On a CPU, the BLAS of NumPy reads both matrices in place. oneDNN would first copy `a`, and takes many times as long
    if `b` is a part of a wider matrix.
    """
    if _is_served(a, b):
        return torch.from_numpy(a.numpy().T @ b.numpy())
    return a.T @ b


def add_product(total: Tensor, x: Tensor, weight: Tensor) -> None:
    """Add `x @ weight.T` to a matrix (M, N) in place, on a GPU with one kernel; not for operations with a gradient."""
    if _is_served(x, weight):
        total += linear(x, weight)
    else:
        total.addmm_(x, weight.T)


def write(out: Tensor, function: Callable[..., Tensor], *arguments: Tensor) -> None:
    """Compute a function of tensors into existing memory. torch.compile traces `out=` only for memory without gaps."""
    if torch.compiler.is_compiling():
        out.copy_(function(*arguments))
    else:
        function(*arguments, out=out)


def _is_served(x: Tensor, weight: Tensor) -> bool:
    """Return True if oneDNN computes the product of these matrices."""
    served = HAS_ONEDNN and x.is_cpu and x.dtype == weight.dtype == torch.float32 and x.numel() > 0
    return served and not torch.compiler.is_compiling()


def _find_onednn() -> bool:
    """True if this torch has the operation of oneDNN and it gives the right result."""
    x, weight = torch.eye(3), torch.arange(6.0).view(2, 3)
    try:
        return torch.equal(torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], ""), weight.T)
    except (AttributeError, RuntimeError):
        return False


HAS_ONEDNN = _find_onednn()

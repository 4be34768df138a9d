"""Half precision for networks, and single precision for operations that would lose too much in it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def at_least_float32(x: Tensor) -> Tensor:
    """Return a floating-point tensor in single precision, or in its own type if that is better.

    Example:
        >>> import torch
        >>> at_least_float32(torch.ones(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: str) -> AbstractContextManager[object]:
    """Return a context without autocast on a type of device; the device `meta` has no autocast."""
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


def in_bfloat16(device: str, *, enabled: bool) -> AbstractContextManager[object]:
    """Return a context in which convolutions and matrix products use bfloat16; if not enabled, it changes nothing.

    Args:
        device: type of the device of the computation.
        enabled: False to leave the precision as it is.

    Example:
        >>> import torch
        >>> x = torch.ones(2, 2)
        >>> with in_bfloat16("cpu", enabled=True):
        ...     (x @ x).dtype
        torch.bfloat16
    """
    return torch.autocast(device, torch.bfloat16) if enabled else nullcontext()


def full_precision(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that computes in single precision or better under autocast, as a decorator.

    Under autocast, matrix products and convolutions return half precision. The decorated function runs without
    autocast, and its positional tensors of half precision become single precision. Without autocast nothing changes.

    Args:
        function: its first positional tensor is on the device of the computation.

    Example:
        >>> import torch
        >>> x = torch.ones(2, 2)
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     torch.matmul(x, x).dtype, full_precision(torch.matmul)(x, x).dtype
        (torch.bfloat16, torch.float32)
    """

    @wraps(function)
    def call(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        device = next(value.device.type for value in args if isinstance(value, Tensor))
        if device == "meta" or not torch.is_autocast_enabled(device):
            return function(*args, **options)
        exact = [at_least_float32(v) if isinstance(v, Tensor) and v.is_floating_point() else v for v in args]
        with without_autocast(device):
            return function(*exact, **options)  # type: ignore[arg-type]

    return call

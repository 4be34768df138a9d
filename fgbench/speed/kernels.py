"""Counting of kernels: operations and bytes of each call of an operator, also on meta tensors without values."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

from fgbench.speed.roofline import EXTRA_COUNTS

ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "lift_fresh"}
"""Operators that reserve memory and launch no kernel."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One call of an operator that does work."""

    kind: str
    """`convolution`, `convolution_backward`, `product`, or `other`."""
    flop: float
    """Operations of convolutions and matrix products; 0 for other operators. A multiply-add is two operations."""
    size_bytes: float
    """Size of the tensors that it reads and writes."""


class KernelCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every kernel that runs under this mode.

    A question to the values of a meta tensor, such as `bool(finite.all())`, is answered with 1: checks of values
    pass. A copy of a meta tensor to the CPU stays a meta tensor.

    Attributes:
        kernels: the kernels in the order of their calls.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels: list[Kernel] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operator and record it."""
        kwargs, name = kwargs or {}, func._schema.name.partition("::")[2]
        if name == "_local_scalar_dense" and args[0].is_meta:
            return True if args[0].dtype == torch.bool else 1
        if name == "_to_copy" and args[0].is_meta:
            kwargs = {**kwargs, "device": args[0].device}
        result = func(*args, **kwargs)
        if name not in ALLOCATIONS and not _is_view(func):
            self.kernels.append(_kernel(func, name, args, kwargs, result))
        return result


def count_kernels(work: Callable[[], object]) -> list[Kernel]:
    """Return the kernels that a function runs."""
    counter = KernelCounter()
    with counter:
        work()
    return counter.kernels


def _kernel(func: Any, name: str, args: Any, kwargs: Any, result: Any) -> Kernel:
    """Return the record of a call."""
    # An operator in place reads and writes the same tensor, which counts twice.
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    written = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
    size = float(sum(tensor.numel() * tensor.element_size() for tensor in (*tensors, *written)))
    if extra := EXTRA_COUNTS.get(func._overloadpacket):
        flop = float(extra(*tree_map(_shape, args), **tree_map(_shape, kwargs)))
    elif formula := flop_registry.get(func._overloadpacket):
        flop = float(formula(*args, **kwargs, out_val=result))
    else:
        return Kernel("other", 0.0, size)
    if "convolution" in name or "conv2d" in name:
        return Kernel("convolution_backward" if "backward" in name else "convolution", flop, size)
    return Kernel("product", flop, size)


def _shape(value: Any) -> Any:
    """Return the shape of a tensor, and anything else as it is."""
    return value.shape if isinstance(value, Tensor) else value


def _is_view(func: Any) -> bool:
    """Return True if an operator returns its argument in another form, without work."""
    return any(
        value.alias_info is not None and not value.alias_info.is_write for value in func._schema.returns
    ) or func._schema.name in {"aten::detach", "aten::_unsafe_view", "aten::_reshape_alias"}


@contextmanager
def saved_bytes(excluded: list[Tensor]) -> Iterator[list[float]]:
    """Sum the sizes of the tensors that the backward pass keeps.

    Args:
        excluded: tensors that do not count, such as the weights.

    Yields:
        A list whose only element is the sum so far; a storage counts once.
    """
    seen = {tensor.untyped_storage()._cdata for tensor in excluded}
    kept, total = [], [0.0]  # a kept tensor keeps its storage, and so the address of the storage, in use

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:
            seen.add(storage._cdata)
            kept.append(storage)
            total[0] += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total

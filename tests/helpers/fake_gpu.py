"""Tensors without values on `cuda`, under the rules of CUDA's autocast, on a machine with or without CUDA.

C++ decides by the device which precision autocast chooses. The tensors of the simulated GPU are on the CPU for C++;
these are on CUDA. A torch that is built without CUDA cannot compute gradients with them, and a few functions fail: they
are replaced.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

Types = dict[tuple[str, str], set[torch.dtype]]
"""Module of the package and name of an operation -> types of its floating-point results."""


class _Replaced(TorchFunctionMode):
    """Computes the shapes of functions that need a device of CUDA on the device `meta`."""

    SHAPES = {Tensor.contiguous, Tensor.__getitem__, Tensor.__invert__, nn.functional.grid_sample}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is Tensor.__setitem__:
            return None
        if func not in self.SHAPES:
            return func(*args, **kwargs)
        shapes = tree_map_only(Tensor, lambda x: torch.empty_like(x, device="meta"), (args, kwargs))
        made = func(*shapes[0], **shapes[1])
        return torch.empty(made.shape, dtype=made.dtype, device=args[0].device)


class _Noted(TorchDispatchMode):
    """Notes the types of the results of operations."""

    def __init__(self) -> None:
        super().__init__()
        self.types: Types = defaultdict(set)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        made = {leaf.dtype for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and leaf.is_floating_point()}
        self.types[_module_of_call(), func.overloadpacket.__name__] |= made
        return result


def _module_of_call() -> str:
    """Return the innermost module of the package that is running, without its helpers."""
    frame = sys._getframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("fgbench.") and not name.startswith("fgbench.util."):
            return name.removeprefix("fgbench.")
        frame = frame.f_back
    return ""


@contextmanager
def fake_gpu() -> Iterator[Types]:
    """Simulate a GPU without values on which autocast chooses bfloat16; give the types of all operations."""
    noted = _Noted()
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    with FakeTensorMode(), torch.no_grad(), _Replaced(), noted, mock.patch.object(Tensor, "pin_memory", lambda x: x):
        torch.set_autocast_enabled("cuda", True)
        try:
            yield noted.types
        finally:
            torch.set_autocast_enabled("cuda", False)


def to_fake_gpu(module: nn.Module) -> None:
    """Replace the parameters and buffers of a module by tensors on the fake GPU; shared ones stay shared."""
    made: dict[int, tuple[Tensor, Tensor]] = {}
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
                    fake = nn.Parameter(fake, requires_grad=False) if isinstance(tensor, nn.Parameter) else fake
                    tensors[name] = made.setdefault(id(tensor), (fake, tensor))[0]

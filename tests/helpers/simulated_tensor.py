"""Tensors of the simulated GPU, and the operations for which the host waits."""

from traceback import extract_stack

import torch
from torch import Tensor

CUDA = torch.device("cuda:0")
aten = torch.ops.aten

WAITS = {
    aten._local_scalar_dense: "item",
    aten.nonzero: "nonzero",
    aten.masked_select: "masked_select",
    aten.equal: "equal",
    aten.is_nonzero: "bool",
    aten.multinomial: "multinomial",
    aten._unique2: "unique",
    aten.unique_dim: "unique",
    aten.unique_consecutive: "unique",
    aten.bincount: "bincount",
    aten._linalg_check_errors: "check of a decomposition",
}
"""Operations whose result, or the size of it, the host has to know."""


class SimulatedTensor(torch.Tensor):
    """A tensor on the simulated GPU; `host` holds its values."""

    host: Tensor

    @staticmethod
    def __new__(cls, real: Tensor) -> "SimulatedTensor":
        """Return a tensor on the simulated GPU with the values of a CPU tensor."""
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls, real.shape, strides=real.stride(), storage_offset=real.storage_offset(), dtype=real.dtype, device="cpu"
        )
        wrapper.host = real
        return wrapper

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"SimulatedTensor({self.host})"

    def __reduce_ex__(self, protocol):
        """Return what pickles the values: a file of `torch.save` has ordinary tensors."""
        return self.cpu().__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError("a tensor of the simulated GPU is used outside of `with SimulatedGpu()`")


def place_of_call() -> str:
    """Return file and line of the innermost code of the package that is running."""
    frames = [frame for frame in extract_stack() if "/fgbench/" in frame.filename and "/tests/" not in frame.filename]
    return f"{frames[-1].filename.rpartition('/fgbench/')[2]}:{frames[-1].lineno}" if frames else "outside the package"

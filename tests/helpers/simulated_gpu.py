"""A GPU that is simulated on the CPU: tensors with real values and gradients that say they are on `cuda:0`.

Inside `SimulatedGpu`, `tensor.to("cuda")` and `torch.zeros(3, device="cuda")` return such tensors. An operation on one
of them and on a CPU tensor of more than one element raises an error, as CUDA does. Each operation is counted: kernels,
bytes, copies, and synchronisations, which are the places where the host waits for the GPU.

A copy from or to pinned memory that does not wait ends at the next synchronisation. Until then its source must not
change, which is checked, and its target on the host has no values.

With `values=False` the tensors have shapes and no values, so that networks and batches of any size take no time. A
value that the host asks for is then 1.

The counts are those of the operations that torch dispatches. An operation counts as one kernel, a view as none.
"""

from collections import Counter
from collections.abc import Callable
from unittest import mock

import torch
from simulated_functions import HANDLERS, is_cuda
from simulated_tensor import WAITS, SimulatedTensor, place_of_call
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
_load = torch.load


class SimulatedGpu(TorchFunctionMode):
    """The context in which the simulated GPU exists.

    Args:
        values: False for tensors without values.

    Attributes:
        free_bytes: free memory of the GPU.
        waits: one entry for each synchronisation: what it is, and the line of the package that causes it.
        kernels: number of operations by name.
        bytes_moved: bytes that the operations read and write.
        copied: bytes that were copied between host and GPU.
    """

    def __init__(self, *, values: bool = True) -> None:
        super().__init__()
        self.values, self.free_bytes = values, 80 << 30
        self._patches = mock.patch("torch.load", self._loaded), mock.patch.multiple(torch.cuda, **self._functions())
        self._pinned: set[int] = set()
        self._unfinished: list[Callable[[], None]] = []
        self.calls = 0
        """Number of functions of torch that Python code has called and that have not returned."""
        self._dispatch = _Dispatch(self)
        self.clear()

    def clear(self) -> None:
        """Set all counts to zero. Copies end."""
        self._finish_copies()
        self.waits: list[str] = []
        self.kernels: Counter[str] = Counter()
        self.bytes_moved = 0
        self.copied = 0

    def __enter__(self) -> "SimulatedGpu":
        self._swapped = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)  # as on a real GPU, shared parameters stay shared
        for patch in self._patches:
            patch.start()
        self._dispatch.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._dispatch.__exit__(*error)
        self._finish_copies()
        for patch in self._patches:
            patch.stop()
        torch.__future__.set_swap_module_params_on_conversion(self._swapped)

    def wait(self, what: str) -> None:
        """Count a synchronisation. Copies end."""
        self.waits.append(f"{what} at {place_of_call()}")
        self._finish_copies()

    def _finish_copies(self) -> None:
        unfinished, self._unfinished = self._unfinished, []
        for finish in unfinished:
            finish()

    def sends(self, source: Tensor) -> None:
        """Note a copy from pinned memory that has begun."""
        place, values = place_of_call(), source.detach().clone()

        def finish() -> None:
            if not torch.equal(source, values):
                raise RuntimeError(f"pinned memory was changed before it was copied to the GPU at {place}")

        if self.values:
            self._unfinished.append(finish)

    def receives(self, target: Tensor, values: Tensor) -> None:
        """Note a copy to pinned memory that has begun."""
        values = values.detach().clone()
        self._unfinished.append(lambda: target.copy_(values))

    def put(self, values: Tensor, *, waits: bool) -> Tensor:
        """Return a copy of a CPU tensor on the simulated GPU."""
        self.copied += values.nbytes
        if waits and values.numel():
            self.wait("blocking copy to the GPU")
        elif values.numel():
            self.sends(values)
        return self.wrap(values.detach().clone())

    def wrap(self, values: Tensor) -> Tensor:
        """Return a tensor on the simulated GPU that holds a CPU tensor, or its shape."""
        return SimulatedTensor(values if self.values else values.to("meta"))

    def fetch(self, tensor: Tensor) -> Tensor:
        """Return a copy of a tensor of the simulated GPU on the CPU."""
        self.copied += tensor.nbytes
        self.wait("copy to the CPU")
        return tensor.host.clone() if self.values else torch.ones(tensor.shape, dtype=tensor.dtype)

    def pin(self, tensor: Tensor) -> None:
        """Note that the memory of a CPU tensor is pinned."""
        self._pinned.add(tensor.untyped_storage().data_ptr())

    def is_pinned(self, tensor: Tensor) -> bool:
        """Return True if a CPU tensor is in memory from which copies do not wait."""
        return tensor.untyped_storage().data_ptr() in self._pinned

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        handler = HANDLERS.get(func)
        if handler is not None:
            return handler(self, func, args, kwargs)
        if is_cuda(kwargs.get("device")):
            return self.make(func, args, kwargs)
        calls, self.calls = self.calls, self.calls + 1
        try:
            return func(*args, **kwargs)
        finally:
            self.calls = calls

    def make(self, func: Callable[..., Tensor], args: tuple, kwargs: dict) -> Tensor:
        """Return the tensor that a function such as `torch.zeros` makes on the GPU."""
        if kwargs.get("generator") is not None:
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        if func in {torch.tensor, torch.as_tensor, torch.asarray}:
            return self.put(func(*args, **{**kwargs, "device": "cpu"}), waits=True)
        made = func(*args, **{**kwargs, "device": "cpu"})
        if isinstance(made, SimulatedTensor):
            return made
        self.kernels[func.__name__] += 1
        self.bytes_moved += made.nbytes
        grad = made.requires_grad
        return self.wrap(made.detach()).requires_grad_(grad)

    def _functions(self) -> dict[str, Callable]:
        """Return functions of `torch.cuda` by name. All memory is free."""
        return {
            "device_count": lambda: 1,
            "get_device_name": lambda device=None: "simulated GPU",
            "mem_get_info": lambda device=None: (self.free_bytes, self.free_bytes),
            "synchronize": lambda device=None: self.wait("synchronize"),
            **dict.fromkeys(("memory_allocated", "memory_reserved", "max_memory_allocated"), lambda device=None: 0),
            "reset_peak_memory_stats": lambda device=None: None,
        }

    def _loaded(self, *args, map_location: object = None, **options: object):
        """Do what `torch.load` does."""
        state = _load(*args, map_location="cpu", **options)
        if not is_cuda(map_location):
            return state
        return tree_map_only(Tensor, lambda tensor: self.put(tensor, waits=True), state)


class _Dispatch(TorchDispatchMode):
    """Computes each operation on the real values, and counts it."""

    def __init__(self, gpu: SimulatedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_gpu = [tensor for tensor in tensors if isinstance(tensor, SimulatedTensor)]
        if not on_gpu:
            made = func(*args, **kwargs)
            # The backward pass makes zeros for what has no gradient. For C++, the tensors are on the CPU.
            in_backward = torch._C._current_graph_task_id() != -1 and not self._gpu.calls
            return self._gpu.wrap(made) if in_backward and not tensors and isinstance(made, Tensor) else made
        packet = func.overloadpacket
        if packet is aten.copy_ and len(on_gpu) == 1:
            return self._copy(*args[:2], non_blocking=len(args) > 2 and args[2])
        if packet is aten._has_compatible_shallow_copy_type:
            return len(on_gpu) == len(tensors)
        self._refuse_mix(func, tensors)
        self._refuse_generator(func, kwargs)
        self._count(func, packet, args)
        if packet is aten._local_scalar_dense and not self._gpu.values:
            return 1
        if "device" in kwargs and not self._gpu.values:
            kwargs = {**kwargs, "device": torch.device("meta")}  # for C++, the tensors are on the CPU
        result = func(*_host(args), **_host(kwargs))
        if not _is_view(func):
            touched = {id(t): t for t in (*tensors, *tree_leaves(result)) if isinstance(t, Tensor)}
            self._gpu.bytes_moved += sum(tensor.nbytes for tensor in touched.values())
        return _wrapped(self._gpu, result, on_gpu)

    def _copy(self, target: Tensor, source: Tensor, *, non_blocking: bool) -> Tensor:
        """Copy values from one device to the other."""
        gpu = self._gpu
        gpu.copied += source.nbytes
        if isinstance(target, SimulatedTensor):
            if non_blocking and gpu.is_pinned(source):
                gpu.sends(source)
            elif source.dim():
                gpu.wait("blocking copy to the GPU")
            target.host.copy_(source)
            return target
        values = source.host if gpu.values else torch.ones(source.shape)
        if non_blocking and gpu.is_pinned(target):
            gpu.receives(target, values)
        else:
            gpu.wait("copy to the CPU")
            target.copy_(values)
        return target

    def _refuse_mix(self, func, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            if not isinstance(tensor, SimulatedTensor) and tensor.dim():
                raise RuntimeError(
                    f"{func}: expected all tensors on the same device, but found at least two, cuda:0 and cpu "
                    f"{tuple(tensor.shape)}, at {place_of_call()}"
                )

    def _refuse_generator(self, func, kwargs) -> None:
        if kwargs.get("generator") is not None and kwargs["generator"].device.type == "cpu":
            raise RuntimeError(f"{func}: expected a generator on cuda but found cpu, at {place_of_call()}")

    def _count(self, func, packet, args) -> None:
        gpu = self._gpu
        if packet in WAITS:
            gpu.wait(WAITS[packet])
        if packet in {aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_}:
            kinds = {index.dtype for index in args[1] if index is not None}
            if kinds & {torch.bool, torch.uint8}:
                gpu.wait("boolean index")
        if packet is aten.repeat_interleave and len(args) == 1:
            gpu.wait("repeat_interleave without its size")
        if not _is_view(func):
            gpu.kernels[packet.__name__] += 1


def _is_view(func) -> bool:
    """Return True for an operation that launches no kernel."""
    aliases = [value.alias_info for value in func._schema.returns]
    view = any(info is not None and not info.is_write for info in aliases)
    return view or func.overloadpacket in {aten.detach, aten.empty_like, aten.new_empty, aten.empty, aten.lift_fresh}


def _host(values):
    return tree_map_only(SimulatedTensor, lambda tensor: tensor.host, values)


def _wrapped(gpu, result, on_gpu):
    """Return a result as tensors of the simulated GPU; what is written in place keeps its object."""
    wrappers = {id(tensor.host): tensor for tensor in on_gpu}

    def wrapped(tensor: Tensor) -> Tensor:
        known = wrappers.get(id(tensor))
        return gpu.wrap(tensor) if known is None else known

    return tree_map_only(Tensor, wrapped, result)

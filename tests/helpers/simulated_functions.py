"""Functions of torch that the simulated GPU replaces: copies between devices, pinned memory, the backward pass."""

import torch
from simulated_tensor import CUDA, SimulatedTensor, place_of_call
from torch import Tensor, nn
from torch.autograd.graph import _engine_run_backward
from torch.overrides import TorchFunctionMode


def is_cuda(device: object) -> bool:
    """Return True for the simulated device, however it is written."""
    return device is not None and not isinstance(device, int) and torch.device(device).type == "cuda"


def _to(gpu, func, args: tuple, kwargs: dict) -> Tensor:
    """Do what `Tensor.to` does, between devices too."""
    tensor, *rest = args
    if rest and isinstance(rest[0], Tensor):
        rest[:1] = [rest[0].device, rest[0].dtype]
    copy = {"copy": kwargs.get("copy", False)}
    placed = {name: value for name, value in kwargs.items() if name != "copy"}
    device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*rest, **placed)
    layout = {} if memory_format is None else {"memory_format": memory_format}
    here = isinstance(tensor, SimulatedTensor)
    there = here if device is None else is_cuda(device)
    if not here and not there:
        return func(*args, **kwargs)
    if there and not here:
        tensor = gpu.put(tensor, waits=not (non_blocking and gpu.is_pinned(tensor)))
    elif here and not there:
        tensor = gpu.fetch(tensor)
    return func(tensor, tensor.dtype if dtype is None else dtype, **copy, **layout)


def _backward(gpu, func, args: tuple, kwargs: dict) -> None:
    """Do what `Tensor.backward` does, with the mode for the backward passes that are written in Python."""
    (loss,) = args
    gradient = torch.ones_like(loss) if kwargs["gradient"] is None else kwargs["gradient"]
    TorchFunctionMode.__enter__(gpu)
    try:
        _engine_run_backward(
            (loss,),
            (gradient,),
            bool(kwargs["retain_graph"]),
            False,
            (),
            allow_unreachable=True,
            accumulate_grad=True,
        )
    finally:
        TorchFunctionMode.__exit__(gpu, None, None, None)


def _pin(gpu, func, args: tuple, kwargs: dict) -> Tensor:
    if isinstance(args[0], SimulatedTensor):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
    pinned = args[0].clone()
    gpu.pin(pinned)
    return pinned


def _empty(gpu, func, args: tuple, kwargs: dict) -> Tensor:
    """Do what `torch.empty` does, in pinned memory too."""
    pinned = kwargs.pop("pin_memory", False)
    if is_cuda(kwargs.get("device")):
        return gpu.make(func, args, kwargs)
    made = func(*args, **kwargs)
    if pinned:
        gpu.pin(made)
    return made


def _with_kernel(gpu, func, args: tuple, kwargs: dict) -> Tensor:
    """Call a function that replaces its kernel if torch is deterministic, by index tensors that it makes on the GPU."""
    modes = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        return func(*args, **kwargs)
    finally:
        torch.use_deterministic_algorithms(modes[0], warn_only=modes[1])


def _refuse_numpy(gpu, func, args: tuple, kwargs: dict):
    if isinstance(args[0], SimulatedTensor):
        raise TypeError(f"can't convert cuda:0 device type tensor to numpy, at {place_of_call()}")
    return func(*args, **kwargs)


HANDLERS = {
    nn.functional.pad: _with_kernel,
    nn.functional.interpolate: _with_kernel,
    Tensor.to: _to,
    Tensor.cuda: lambda gpu, func, args, kwargs: _to(gpu, Tensor.to, (args[0], CUDA), kwargs),
    Tensor.cpu: lambda gpu, func, args, kwargs: _to(gpu, Tensor.to, (args[0], "cpu"), kwargs),
    Tensor.tolist: lambda gpu, func, args, kwargs: func(
        gpu.fetch(args[0]) if isinstance(args[0], SimulatedTensor) else args[0]
    ),
    Tensor.backward: _backward,
    Tensor.numpy: _refuse_numpy,
    Tensor.__array__: _refuse_numpy,
    Tensor.pin_memory: _pin,
    Tensor.is_pinned: lambda gpu, func, args, kwargs: gpu.is_pinned(args[0]),
    torch.empty: _empty,
    torch.empty_like: _empty,
}

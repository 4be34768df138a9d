"""torch.compile of networks in training."""

import torch
from torch import Tensor, nn

from fgbench.backbones.backbone import Backbone
from fgbench.util.errors import FgbenchError

BACKEND = "inductor"
"""Compiler that torch.compile uses."""
FORMS = 64
"""Largest number of compiled forms of the networks. After the 8 that torch allows, it stops compiling silently. A form
is compiled for each network, size of batch, and set of trained parameters."""


def compile_networks(method: nn.Module, device: torch.device) -> None:
    """Compile the networks of a method in place, for passes with gradients. The method keeps its state dict.

    Args:
        method: The method.
        device: Device of the method.

    Raises:
        FgbenchError: torch.compile does not work on this machine.
    """
    check_compiler(device)
    torch._dynamo.config.recompile_limit = FORMS
    for module in method.modules():
        if isinstance(module, Backbone):
            module.compile_layers(BACKEND)


def check_compiler(device: torch.device) -> None:
    """Compile a small function for a device and call it.

    Raises:
        FgbenchError: torch.compile does not work on this machine.
    """
    try:
        torch.compile(_double, backend=BACKEND)(torch.ones(2, device=device))
    except (RuntimeError, OSError, ImportError) as error:
        cause = str(getattr(error, "inner_exception", error))
        reason = next((line for line in cause.splitlines() if line.strip()), type(error).__name__)
        needs = "Triton and a C compiler" if device.type == "cuda" else "a C++ compiler such as g++"
        raise FgbenchError(
            f"torch.compile does not work on this machine: {reason.strip()}", f"install {needs}, or leave out --compile"
        ) from error


def _double(x: Tensor) -> Tensor:
    return x + x

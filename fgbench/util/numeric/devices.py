"""Work between the CPU and a GPU without waiting: copies to the device, and checks of values."""

from collections.abc import Callable

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; the CPU does not wait until a GPU has received it.

    A copy to a GPU goes through pinned memory. From other memory, the CPU waits until the GPU has finished its work.

    Example:
        >>> import torch
        >>> to_device(torch.tensor([1, 2]), torch.device("cpu"))
        tensor([1, 2])
    """
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def check_values(condition: Tensor, message: str, error: Callable[[], Exception]) -> None:
    """Raise an error if a condition on the values of tensors is false.

    On a GPU the program does not wait for the condition. If it is false, the GPU prints the message, and a later
    operation raises torch's error of a failed assertion on the device. Code that torch.compile has compiled raises
    torch's error on the CPU too.

    Args:
        condition: bool, scalar.
        message: printed by a GPU.
        error: returns the error to raise on the CPU; it may compute its message from the values.

    Example:
        >>> import torch
        >>> check_values(torch.tensor(True), "a value is not finite", lambda: ValueError("value 3 is not finite"))
    """
    if condition.device.type != "cpu" or torch.compiler.is_compiling():
        torch._assert_async(condition, message)
    elif not condition:
        raise error()

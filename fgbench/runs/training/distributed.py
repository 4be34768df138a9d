"""Device, precision and processes of a training, by Lightning Fabric. Methods and stages do not depend on them."""

import atexit
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import lru_cache
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

PATIENCE = timedelta(days=2)
"""How long a process waits for the others while the first computes descriptors."""


class Engine:
    """Device and precision of a training, in one process or in one of several processes.

    Under `torchrun` each process takes its share of every batch and the gradients are summed: a step is the same as in
    one process with the whole batch. Batch normalisation is the exception: each process uses its own statistics in a
    step, and they are averaged after each epoch.

    Args:
        device: `cpu` or `cuda`; of several processes, each uses the GPU of its local rank.
        precision: `32-true`, or `bf16-mixed` for matrix products and convolutions in bfloat16 during training.
    """

    def __init__(self, device: str = "cpu", precision: str = "32-true") -> None:
        self.fabric = _fabric(device, precision)
        self.rank, self.processes = self.fabric.global_rank, self.fabric.world_size
        self.device = self.fabric.device

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context manager of a forward pass."""
        return self.fabric.autocast()

    def positions(self, rows: int) -> Tensor:
        """Return the positions in a batch of `rows` images that this process computes."""
        return torch.arange(self.rank, rows, self.processes)

    def backward(self, loss: Tensor, share: float, parameters: Iterable[nn.Parameter]) -> None:
        """Compute the gradients of the mean loss of the whole batch.

        Args:
            loss: mean over the images of this process.
            share: their share of the batch.
            parameters: the trained parameters.
        """
        if self.processes == 1:
            self.fabric.backward(loss)
            return
        self.fabric.backward(loss * share)
        # Every process has gradients of the same parameters: they depend on the losses, not on the images.
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        return self.fabric.all_reduce(values, reduce_op="sum") if self.processes > 1 else values  # type: ignore[return-value]

    def share_buffers(self, module: nn.Module) -> None:
        """Replace buffers, such as running means of batch normalisation, by their mean over all processes."""
        if self.processes > 1:
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.sum(buffer) / self.processes)

    def wait(self) -> None:
        """Wait for all processes."""
        self.fabric.barrier()


def processes() -> int:
    """Return the number of processes that `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the rank of this process; 0 without `torchrun`."""
    return int(os.environ.get("RANK", "0"))


def stand_alone() -> None:
    """Remove the settings of `torchrun` from this process, whose parent was started by it."""
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK", "GROUP_RANK", "TORCHELASTIC_RUN_ID"):
        os.environ.pop(name, None)


@lru_cache(maxsize=1)
def _fabric(device: str, precision: str) -> Fabric:
    world = processes()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=world // local,
        precision=precision,  # type: ignore[arg-type]
        strategy=DDPStrategy(timeout=PATIENCE) if world > 1 else "auto",
    )
    fabric.launch()
    if world > 1:
        atexit.register(_leave)
    return fabric


def _leave() -> None:
    """Leave the process group before the interpreter ends: the threads of the group would abort it later."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

"""Device, precision and processes of a training, by Lightning Fabric; methods and stages know of none of them."""

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
"""How long a process waits for the others: the first of them may be taking descriptors alone."""


class Engine:
    """Where and how precisely a training computes, alone or as one of several equal processes.

    Under `torchrun` each process takes its share of every batch and the gradients are summed, so that the steps are
    those of one process with the whole batch (but for batch normalisation, whose statistics are each process's own in
    a step and averaged after each epoch).

    Args:
        device: `cpu` or `cuda`; with several processes each takes the GPU of its local rank.
        precision: `32-true`, or `bf16-mixed` for matrix products and convolutions in bfloat16 during training.
    """

    def __init__(self, device: str = "cpu", precision: str = "32-true") -> None:
        self.fabric = _fabric(device, precision)
        self.rank, self.processes = self.fabric.global_rank, self.fabric.world_size
        self.device = self.fabric.device

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        return self.fabric.autocast()

    def own(self, rows: int) -> Tensor:
        """Positions in a batch of `rows` that this process takes."""
        return torch.arange(self.rank, rows, self.processes)

    def backward(self, loss: Tensor, share: float, parameters: Iterable[nn.Parameter]) -> None:
        """Gradients of the whole batch's mean loss.

        Args:
            loss: mean over this process's images.
            share: part of the batch that they are.
            parameters: those that are trained.
        """
        if self.processes == 1:
            self.fabric.backward(loss)
            return
        self.fabric.backward(loss * share)
        # The same parameters everywhere: which have a gradient depends on the losses, not on the images.
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes of a tensor."""
        return self.fabric.all_reduce(values, reduce_op="sum") if self.processes > 1 else values  # type: ignore[return-value]

    def share_buffers(self, module: nn.Module) -> None:
        """Give every process the mean of all processes' buffers, such as running means of batch normalisation."""
        if self.processes > 1:
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.sum(buffer) / self.processes)

    def wait(self) -> None:
        """Until every process is here."""
        self.fabric.barrier()


def processes() -> int:
    """How many processes `torchrun` has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is."""
    return int(os.environ.get("RANK", "0"))


def stand_alone() -> None:
    """Make this process one by itself, where `torchrun` started the process that it was started by."""
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
    """Leave the group of processes while Python still stands: its threads would abort a process that ends over them."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

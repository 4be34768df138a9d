"""Device, precision and processes of a training, by Lightning Fabric. Methods and stages do not depend on them."""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fgbench.runs.training.gradient_buckets import BUCKET_BYTES, GradientBuckets
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.files import machine_error

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATIENCE = timedelta(days=2)
"""How long a process waits for the others while the first computes descriptors."""


class SharedError(FgbenchError):
    """An error of one process that all processes of a run raise."""


class Engine:
    """Device and precision of a training, in one process or in one of several processes.

    Under `torchrun` each process takes its share of every batch and the gradients are summed: a step is the same as in
    one process with the whole batch. The effective batch is therefore the batch of the recipe. Batch normalisation is
    the exception: each process uses its own statistics in a step, and they are averaged after each epoch.

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

    def check_batch(self, stage: str, batch_size: int) -> None:
        """Check that every process has an image of each full batch.

        Args:
            stage: name of the stage.
            batch_size: number of images in its batches.

        Raises:
            FgbenchError: there are fewer images than processes.
        """
        if batch_size < self.processes:
            raise FgbenchError(
                f"{self.processes} processes cannot share the batches of stage {stage!r}: "
                f"the effective batch is that of the recipe, {batch_size}, whatever the number of processes",
                f"start at most {batch_size} with torchrun --nproc-per-node; --jobs uses several GPUs for several runs",
            )

    def share(self, rows: int) -> tuple[Tensor, float]:
        """Return what this process computes of a batch of `rows` images.

        A last batch may have fewer images than there are processes. Every process then computes all of them.

        Returns:
            Positions of the images in the batch, and the weight of their mean loss in that of the batch.
        """
        if rows < self.processes:
            return torch.arange(rows), 1 / self.processes
        positions = torch.arange(self.rank, rows, self.processes)
        return positions, len(positions) / rows

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
        with GradientBuckets(parameters, self.start_sum, BUCKET_BYTES):
            self.fabric.backward(loss * share)

    def start_sum(self, values: Tensor) -> Callable[[], object]:
        """Start to replace a tensor by its sum over all processes; return a function that waits for it."""
        work = torch.distributed.all_reduce(values, async_op=True)
        assert work is not None
        return work.wait  # type: ignore[no-any-return]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        return self.fabric.all_reduce(values, reduce_op="sum") if self.processes > 1 else values  # type: ignore[return-value]

    def smallest(self, number: float) -> float:
        """Return the smallest of the numbers of all processes."""
        if self.processes == 1:
            return number
        values = torch.tensor(number, dtype=torch.float64, device=self.device)
        return float(self.fabric.all_reduce(values, reduce_op="min"))  # type: ignore[arg-type]

    def share_buffers(self, module: nn.Module) -> None:
        """Replace buffers, such as running means of batch normalisation, by their mean over all processes."""
        buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        if self.processes == 1 or not buffers:
            return
        flat = torch.cat([buffer.flatten().double() for buffer in buffers])
        means = torch.split(self.sum(flat) / self.processes, [buffer.numel() for buffer in buffers])
        for buffer, mean in zip(buffers, means, strict=True):
            buffer.copy_(mean.view_as(buffer))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise an error of one process in all processes, so that the others do not wait for it.

        All processes execute the block. At its end they wait for each other, and inside it they do not. An error that
        is neither a mistake of a user nor a fault of the machine ends the process; `torchrun` then ends the others.

        Raises:
            SharedError: the error of the first process that has one. A single process raises its own error.
        """
        if not torch.distributed.is_initialized():
            yield
            return
        failed: FgbenchError | None = None
        try:
            yield
        except FgbenchError as error:
            failed = error
        except (OSError, MemoryError) as error:
            failed = machine_error(error)
        texts: list[tuple[str, str] | None] = [None] * self.processes
        torch.distributed.all_gather_object(texts, failed and (failed.args[0], failed.hint), _waiting_group())
        for text in texts:
            if text:
                raise SharedError(*text) from failed

    def wait(self) -> None:
        """Wait for all processes. A waiting process does not use its GPU."""
        if torch.distributed.is_initialized():
            torch.distributed.barrier(_waiting_group())


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
def _fabric(device: str, precision: str) -> "Fabric":
    # Lightning Fabric takes seconds to import, and judging records needs no training.
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    world = processes()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    if device == "cuda" and 0 < (gpus := torch.cuda.device_count()) < local:
        raise FgbenchError(
            f"torchrun started {local} processes on a machine with {counted(gpus, 'GPU')}, and each needs its own",
            f"torchrun --nproc-per-node {gpus} -m fgbench ...",
        )
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
        _waiting_group()
    return fabric


@lru_cache(maxsize=1)
def _waiting_group() -> Any:
    """Return the process group in which processes wait. In one of NCCL, a kernel on the GPU would wait."""
    return torch.distributed.new_group(backend="gloo", timeout=PATIENCE)


def _leave() -> None:
    """Leave the process group before the interpreter ends: the threads of the group would abort it later."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()

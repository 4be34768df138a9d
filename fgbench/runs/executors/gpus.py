"""The GPUs of this machine, one for each task of a pool."""

import os
from collections.abc import Sequence

VARIABLE = "CUDA_VISIBLE_DEVICES"
"""Environment variable with the GPUs that a process uses."""


def visible_gpus() -> list[str]:
    """Return the numbers or UUIDs of the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    import torch  # not needed without a GPU

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def use_gpu(name: str) -> None:
    """Use only one GPU in this process, which has not used any. It is then `cuda:0`, and `cuda`, for torch."""
    os.environ[VARIABLE] = name


class GpuPool:
    """Chooses the GPU of each task: the one with the fewest tasks.

    Args:
        names: names of the GPUs; without any, tasks get none.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._tasks = dict.fromkeys(names, 0)

    def take(self) -> str | None:
        """Return the name of the GPU for a task that starts."""
        if not self._tasks:
            return None
        name = min(self._tasks, key=lambda gpu: self._tasks[gpu])
        self._tasks[name] += 1
        return name

    def give_back(self, name: str | None) -> None:
        """Note that a task on a GPU has ended."""
        if name is not None:
            self._tasks[name] -= 1

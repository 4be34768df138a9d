"""Trainings on the simulated GPU."""

from contextlib import contextmanager

import torch
from simulated_gpu import SimulatedGpu
from small_trainings import Share

PLENTY = 1 << 40
"""Free memory in bytes into which everything fits."""


@contextmanager
def gpu_with(free=PLENTY):
    """Simulate a GPU with some bytes of free memory; give it and an engine that uses it."""
    with SimulatedGpu() as gpu:
        gpu.free_bytes = free
        engine = Share()
        engine.device = torch.device("cuda")
        yield gpu, engine


def waits_outside_augmentation(gpu):
    """Return the waits of a training that are not those of the random steps."""
    return [wait for wait in gpu.waits if "datasets/augment.py" not in wait]

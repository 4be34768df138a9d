"""Trainings on the simulated GPU."""

from contextlib import contextmanager

import torch
from simulated_gpu import SimulatedGpu
from small_trainings import Share

from fgbench.runs.training import head_features, row_reader

PLENTY = 1 << 40
"""Free memory in bytes into which everything fits."""


@contextmanager
def gpu_with(monkeypatch, free=PLENTY):
    """Simulate a GPU with some bytes of free memory; give it and an engine that uses it."""
    for module in (head_features, row_reader):
        monkeypatch.setattr(module, "free_bytes", lambda device: free)
    with SimulatedGpu() as gpu:
        engine = Share()
        engine.device = torch.device("cuda")
        yield gpu, engine


def waits_outside_augmentation(gpu):
    """Return the waits of a training that are not those of the random steps."""
    return [wait for wait in gpu.waits if "datasets/augment.py" not in wait]

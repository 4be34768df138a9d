from contextlib import nullcontext

import pytest
from simulated_gpu import SimulatedGpu
from simulated_tensor import CUDA

from fgbench.runs.training import distributed
from fgbench.util import gpu_board


class OneGpu:
    """What `Engine` uses of Lightning Fabric, for the simulated GPU and one process."""

    global_rank, world_size, device = 0, 1, CUDA
    autocast = staticmethod(nullcontext)

    @staticmethod
    def backward(loss):
        loss.backward()

    def barrier(self):
        pass


def without_counter(*_):
    raise gpu_board.hardware_error("the GPU is simulated")


@pytest.fixture
def gpu():
    with SimulatedGpu() as simulated:
        yield simulated


@pytest.fixture
def gpu_machine(gpu, monkeypatch):
    """A machine with the simulated GPU, on which runs can be executed."""
    fabric = distributed._fabric
    monkeypatch.setattr(distributed, "_fabric", lambda name, *rest: OneGpu() if name == "cuda" else fabric(name, *rest))
    monkeypatch.setattr(gpu_board, "board_of", without_counter)
    return gpu

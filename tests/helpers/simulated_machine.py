"""A machine whose only GPU is simulated, for a test, or for every process of a program (`simulated_gpu_site`)."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from simulated_gpu import SimulatedGpu
from simulated_tensor import CUDA

from fgbench.runs.training import distributed
from fgbench.speed import machine_rates
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


def patch_package(patch: pytest.MonkeyPatch) -> None:
    """Let runs on `cuda` use the simulated GPU."""
    fabric = distributed._fabric
    patch.setattr(distributed, "_fabric", lambda name, *rest: OneGpu() if name == "cuda" else fabric(name, *rest))
    patch.setattr(gpu_board, "board_of", without_counter)


def simulated_rates(*_):
    """Return rates of the simulated GPU."""
    return replace(machine_rates.gpu_rates("h100"), name="simulated GPU")


def install() -> None:
    """Give this process the simulated GPU until it ends."""
    patch = pytest.MonkeyPatch()
    patch.setattr(torch.cuda, "is_available", lambda: True)
    board = SimpleNamespace(name="simulated GPU", total_memory=80 << 30)
    patch.setattr(torch.cuda, "get_device_properties", lambda device=None: board)
    patch.setattr(machine_rates, "measure_device", simulated_rates)
    patch_package(patch)
    SimulatedGpu().__enter__()

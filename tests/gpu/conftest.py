import pytest
import simulated_machine
from simulated_gpu import SimulatedGpu


@pytest.fixture
def gpu():
    with SimulatedGpu() as simulated:
        yield simulated


@pytest.fixture
def gpu_machine(gpu, monkeypatch):
    """A machine with the simulated GPU, on which runs can be executed."""
    simulated_machine.patch_package(monkeypatch)
    return gpu

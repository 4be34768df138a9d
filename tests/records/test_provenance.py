"""What a record says about the GPU of a run."""

import mini
import pytest
import torch
from fake_nvml import FakeNvml

from fgbench.records import provenance as module
from fgbench.records.phase_log import PhaseLog
from fgbench.records.provenance import cost, provenance
from fgbench.records.run_cost import Cost
from fgbench.records.store import Store
from fgbench.runs.execute import Execution
from fgbench.util import device_memory
from fgbench.util.gpu_board import Meter, driver_version


@pytest.fixture
def tf32():
    """Allow TF32, as torch does by default in convolutions, and restore the settings."""
    backends = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = True
    yield lambda: [backend.allow_tf32 for backend in backends]
    for backend, value in zip(backends, before, strict=True):
        backend.allow_tf32 = value


def test_a_run_refuses_tf32_and_its_record_says_so(tmp_path, tf32, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Fake H200")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91300)
    monkeypatch.setattr(module, "driver_version", lambda: "580.95.05")
    allowed = provenance("cuda", "", 1, "")
    assert allowed["gpu"]["tf32"] == {"cudnn": True, "matmul": True}
    Execution(mini.run_of("bcnn_dm"), Store(tmp_path / "records"), tmp_path / "work", lambda what, share: None)
    assert tf32() == [False, False]
    written = provenance("cuda", "", 1, "")
    assert written["device"] == "Fake H200"
    assert written["gpu"] == {
        "cuda": "13.0",
        "cudnn": 91300,
        "driver": "580.95.05",
        "tf32": {"cudnn": False, "matmul": False},
    }


def test_a_record_of_a_cpu_has_no_gpu():
    written = provenance("cpu", "", 1, "")
    assert written["device"] == "cpu"
    assert "gpu" not in written


def test_the_driver_is_unknown_if_nvml_does_not_tell_it(monkeypatch):
    assert driver_version(FakeNvml([])) == "580.95.05"
    assert driver_version(FakeNvml([], tells_driver=False)) is None
    assert driver_version(FakeNvml([], starts=False)) is None

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    assert driver_version() is None


class Allocator:
    """The counters of torch for the memory of a GPU."""

    def __init__(self, monkeypatch):
        self.now = self.peak = 0
        monkeypatch.setattr(device_memory, "_peaks", {})
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: self.now)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: self.peak)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)

    def reset(self, device):
        self.peak = self.now

    def use(self, mib):
        """Allocate and free."""
        self.peak = max(self.peak, self.now + mib * 2**20)


def test_peak_device_memory_is_the_largest_over_sessions(tmp_path, monkeypatch):
    gpu, allocator = torch.device("cuda:0"), Allocator(monkeypatch)
    allocator.use(9000)  # before the run
    first = PhaseLog(tmp_path, 0, Meter.of("cpu"), gpu)
    with first.phase("training"):
        allocator.use(700)
        device_memory.start_measurement(gpu)  # of a batch
        allocator.use(300)
    assert first.device_peak_mib == 700
    allocator.use(800)  # of the run before, in the same program
    second = PhaseLog(tmp_path, 0, Meter.of("cpu"), gpu)
    with second.phase("test"):
        allocator.use(200)
    assert Cost.model_validate(cost(second, 1)).device_peak_mib == 700
    with second.phase("test"):
        allocator.use(750)
    assert Cost.model_validate(cost(second, 1)).device_peak_mib == 750


def test_a_cpu_has_no_peak_of_device_memory(tmp_path):
    log = PhaseLog(tmp_path, 0, Meter.of("cpu"))
    with log.phase("test"):
        pass
    assert Cost.model_validate(cost(log, 1)).device_peak_mib is None

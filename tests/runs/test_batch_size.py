"""Batches of inference: constant on a CPU, and on a GPU as large as half of the free memory allows."""

import numpy as np
import pytest
import torch

from fgbench.runs import row_files
from fgbench.runs.row_files import BatchSize, batches, inference_batch, map_images
from fgbench.util import device_memory

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(0).integers(0, 256, (70, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def memory(monkeypatch):
    """Simulate a GPU on which an image needs 10 bytes. The value is the free memory in bytes."""
    free, seen = [0], []
    monkeypatch.setattr(row_files, "has_device_memory", lambda device: True)
    monkeypatch.setattr(row_files, "free_bytes", lambda device: free[0])
    monkeypatch.setattr(row_files, "start_measurement", lambda device: lambda: 10 * seen[-1])
    monkeypatch.setattr(row_files, "inference_batch", lambda side: 4)
    return free, seen


def sizes_of_rows(path, seen):
    def flat(images):
        seen.append(len(images))
        return images.flatten(1).float()

    rows = map_images(path, PIXELS, flat, batch_size=4, device=CPU)
    assert np.array_equal(rows, PIXELS.transpose(0, 3, 1, 2).reshape(70, -1))
    return seen


def test_batches_on_a_cpu_have_one_size(tmp_path):
    assert sizes_of_rows(tmp_path / "rows.npy", []) == [4] * 17 + [2]
    assert [len(batch) for batch in batches(PIXELS, 4, CPU)] == [4] * 17 + [2]
    assert [inference_batch(side) for side in (64, 128, 129, 448)] == [128, 128, 16, 16]


@pytest.mark.parametrize(("free", "size"), [(0, 4), (159, 4), (160, 8), (639, 16), (640, 32), (1 << 40, 64)])
def test_batches_on_a_gpu_use_at_most_half_of_the_free_memory(tmp_path, memory, free, size):
    memory[0][0] = free
    seen = sizes_of_rows(tmp_path / "rows.npy", memory[1])
    assert seen == [4, *[size] * (66 // size), *([66 % size] if 66 % size else [])]
    lengths = []
    for batch in batches(PIXELS, 4, CPU):
        lengths.append(len(batch))
        memory[1].append(len(batch))
    assert lengths == seen[: len(lengths)]
    assert sum(lengths) == 70


@pytest.mark.parametrize(("side", "largest"), [(64, 128 * 16), (224, 256), (448, 167), (896, 41)])
def test_maps_of_a_batch_on_a_gpu_have_fewer_values_than_its_operations_count(side, largest):
    assert row_files._largest_batch(side) == largest
    assert largest * 64 * side**2 < 2**31


def test_only_the_first_batch_is_measured(memory):
    memory[0][0], memory[1][:] = 1 << 40, [4]
    batch = BatchSize(4, 8, CPU)
    with batch.measured(4):
        assert batch.size == 4
    memory[0][0] = 0
    with batch.measured(64):
        assert batch.size == 64
    assert batch.size == 64


def test_a_first_batch_of_few_images_is_extrapolated(memory):
    """An interrupted computation may continue with the last images before the mirror images."""
    memory[0][0], memory[1][:] = 639, [1]
    batch = BatchSize(4, 8, CPU)
    with batch.measured(1):
        pass
    assert batch.size == 16


def test_memory_of_a_gpu_is_measured_from_the_allocator(monkeypatch):
    """The peak of a run is that before and after a measurement, which resets the counter of torch."""
    gpu, state = torch.device("cuda"), {"now": 300 << 20, "peak": 900 << 20}
    monkeypatch.setattr(device_memory, "_peaks", {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: state["now"])
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 1000 << 20)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (50 << 20, 2000 << 20))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: state["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: state.update(peak=state["now"]))
    used = device_memory.start_measurement(gpu)
    assert used() == 0
    state["peak"] = 420 << 20
    assert used() == 120 << 20
    assert device_memory.free_bytes(gpu) == (50 + 1000 - 300) << 20
    assert device_memory.device_peak_mib(gpu) == 900
    state["peak"] = 1000 << 20
    assert device_memory.device_peak_mib(gpu) == 1000
    assert device_memory.device_peak_mib(CPU) is None

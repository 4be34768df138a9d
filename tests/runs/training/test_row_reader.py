from threading import Event

import numpy as np
import pytest
import torch
from gpu_training import PLENTY, gpu_with
from simulated_tensor import SimulatedTensor

from fgbench.datasets.pixel_cache import Rows
from fgbench.runs.training import row_reader
from fgbench.runs.training.row_reader import AHEAD, array_to_device, on_gpu_if_it_fits, read_ahead, read_rows

PATIENCE_S = 60
"""Seconds after which a test fails that waits for the thread."""
CPU = torch.device("cpu")
CUDA = torch.device("cuda")
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 3), np.uint8)
PLAN = [np.array([1, 4, 7]), np.array([0, 8]), np.array([3])]


def mapped(tmp_path):
    np.save(tmp_path / "pixels.npy", PIXELS)
    return np.load(tmp_path / "pixels.npy", mmap_mode="r")


def test_a_thread_reads_the_next_items_while_one_is_used():
    read = [Event() for _ in range(6)]
    results = read_ahead(lambda item: (read[item].set(), item)[1], iter(range(6)))
    assert next(results) == 0
    for event in read[: 1 + AHEAD]:
        assert event.wait(PATIENCE_S)
    assert not read[1 + AHEAD].is_set()
    assert list(results) == [1, 2, 3, 4, 5]


def test_an_error_of_the_thread_reaches_the_training():
    results = read_ahead(lambda item: 1 // item, iter([1, 0, 1]))
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_the_thread_ends_with_the_training():
    read = []
    results = read_ahead(read.append, iter(range(100)))
    next(results)
    results.close()
    assert len(read) <= 1 + AHEAD


@pytest.mark.parametrize("kind", ["array", "file", "part of a file", "some rows of a file"])
def test_batches_from_the_host_have_the_values_of_the_array_and_no_waits(kind, tmp_path):
    file = mapped(tmp_path)
    rows = {
        "array": PIXELS,
        "file": file,
        "part of a file": file[:, 1:5, 1:5],
        "some rows of a file": Rows(file, np.arange(9)[::-1].copy()),
    }[kind]
    expected = [np.array(rows[chosen]) for chosen in PLAN]
    for batch, values in zip(read_rows(rows, PLAN, (), CPU), expected, strict=True):
        assert np.array_equal(batch.numpy(), values)
    with gpu_with() as (gpu, _):
        batches = list(read_rows(rows, PLAN, (), CUDA))
        assert all(isinstance(batch, SimulatedTensor) for batch in batches)
        assert gpu.waits == []
        for batch, values in zip(batches, expected, strict=True):
            assert np.array_equal(batch.cpu().numpy(), values)


def test_batches_of_an_array_on_the_gpu_copy_only_the_numbers_of_the_rows():
    with gpu_with() as (gpu, _):
        rows = array_to_device(PIXELS, CUDA)
        numbers = torch.split(array_to_device(np.concatenate(PLAN), CUDA), [3, 2, 1])
        gpu.clear()
        batches = list(read_rows(rows, PLAN, numbers, CUDA))
        assert (gpu.waits, gpu.copied) == ([], 0)
        for batch, chosen in zip(batches, PLAN, strict=True):
            assert np.array_equal(batch.cpu().numpy(), PIXELS[chosen])


@pytest.mark.parametrize("chunk", [1, 250, 1 << 20])
def test_images_are_copied_to_the_gpu_if_they_fit(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(row_reader, "CHUNK_BYTES", chunk)
    file = mapped(tmp_path)
    for free, fits in ((PLENTY, True), (4 * PIXELS.nbytes, True), (4 * PIXELS.nbytes - 1, False)):
        with gpu_with(free) as (gpu, _):
            images = on_gpu_if_it_fits(file, CUDA)
            assert gpu.waits == []
            assert (images is file) == (not fits)
            if fits:
                assert gpu.copied == PIXELS.nbytes
                assert np.array_equal(images.cpu().numpy(), PIXELS)
    assert on_gpu_if_it_fits(file, CPU) is file

import os
from threading import Event

import numpy as np
import pytest
import torch
from simulated_gpu import SimulatedGpu

from fgbench.util.errors import FgbenchError
from fgbench.util.numeric import column_reader
from fgbench.util.numeric.column_reader import column_blocks, read_columns

ARRAY = np.random.default_rng(0).normal(size=(37, 50)).astype(np.float32)
COLUMNS = slice(11, 30)


@pytest.fixture
def saved(tmp_path):
    np.save(tmp_path / "rows.npy", ARRAY)
    return tmp_path / "rows.npy"


def columns(array):
    out = np.empty((len(array), COLUMNS.stop - COLUMNS.start), array.dtype)
    read_columns(array, COLUMNS, out)
    return out


def test_only_the_bytes_of_the_columns_are_read_from_a_mapped_file(saved, monkeypatch):
    read, true = [], os.preadv
    monkeypatch.setattr(os, "preadv", lambda *args: read.append(true(*args)) or read[-1])
    assert np.array_equal(columns(np.load(saved, mmap_mode="r")), ARRAY[:, COLUMNS])
    assert sum(read) == ARRAY[:, COLUMNS].nbytes


@pytest.mark.parametrize(
    "part",
    [
        slice(3, 30),
        slice(None, None, 2),
        slice(None, None, -1),
        (slice(None), slice(0, 40)),
        (slice(None), slice(5, 45)),
    ],
    ids=str,
)
def test_parts_of_a_mapped_file_and_arrays_in_memory(saved, part):
    for array in (ARRAY, np.load(saved, mmap_mode="r")):
        assert np.array_equal(columns(array[part]), ARRAY[part][:, COLUMNS])


def test_files_in_column_order_and_changed_mappings(saved, tmp_path):
    np.save(tmp_path / "columns.npy", np.asfortranarray(ARRAY))
    assert np.array_equal(columns(np.load(tmp_path / "columns.npy", mmap_mode="r")), ARRAY[:, COLUMNS])
    changed = np.load(saved, mmap_mode="c")
    changed[:] = 7
    assert (columns(changed) == 7).all()


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_numbers_of_another_type_are_cast(tmp_path, kind):
    np.save(tmp_path / "rows.npy", ARRAY.astype(kind))
    out = np.empty((len(ARRAY), COLUMNS.stop - COLUMNS.start), np.float32)
    read_columns(np.load(tmp_path / "rows.npy", mmap_mode="r"), COLUMNS, out)
    assert np.array_equal(out, ARRAY[:, COLUMNS].astype(kind).astype(np.float32))


def test_without_preadv_the_mapping_is_read(saved, monkeypatch):
    monkeypatch.delattr(os, "preadv")
    assert np.array_equal(columns(np.load(saved, mmap_mode="r")), ARRAY[:, COLUMNS])


def test_a_truncated_file_is_an_error(saved):
    array = np.load(saved, mmap_mode="r")
    os.truncate(saved, saved.stat().st_size - 100)
    with pytest.raises(FgbenchError, match="is shorter than it was"):
        columns(array)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("samples", [1, 7, 8, 9, 65])
def test_column_blocks_cover_the_whole_file(tmp_path, samples, device):
    features = np.random.default_rng(0).normal(size=(samples, 10)).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    with SimulatedGpu() as gpu:
        read = column_blocks(mapped, 4 * samples * 4, torch.device(device))
        blocks = [(columns, block.clone()) for columns, block in read]
        assert {block.device.type for _, block in blocks} == {device}
        host = [(columns, block.cpu().numpy()) for columns, block in blocks]
    assert gpu.copied == (2 * features.nbytes if device == "cuda" else 0)
    assert [block.shape[1] for _, block in host] == [4, 4, 2]
    for columns, block in host:
        assert np.array_equal(block, features[:, columns])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_next_block_is_read_while_the_last_one_is_used(monkeypatch, device):
    features, begun = np.arange(30, dtype=np.float32).reshape(3, 10), [Event() for _ in range(3)]
    read = column_reader.read_columns

    def reading(array, columns, out):
        read(array, columns, out)
        begun[columns.start // 4].set()

    monkeypatch.setattr(column_reader, "read_columns", reading)
    with SimulatedGpu():
        blocks = column_blocks(features, 4 * 3 * 4, torch.device(device))
        kept = []
        for number in range(3):
            block = next(blocks)[1]
            assert begun[min(number + 1, 2)].wait(60)
            kept.append(block.clone())
        assert np.array_equal(torch.cat(kept, 1).cpu().numpy(), features)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_blocks_of_a_file_that_is_too_short_are_an_error(tmp_path, device):
    np.save(tmp_path / "x.npy", np.zeros((3, 10), np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    os.truncate(tmp_path / "x.npy", 150)
    with SimulatedGpu(), pytest.raises(FgbenchError, match="shorter than it was"):
        list(column_blocks(mapped, 48, torch.device(device)))

import os

import numpy as np
import pytest

from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.column_reader import read_columns

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

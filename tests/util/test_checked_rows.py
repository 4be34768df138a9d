import json
import zlib

import numpy as np
import pytest

from fgbench.util import checked_rows
from fgbench.util.checked_rows import CheckedRows, are_complete
from fgbench.util.errors import FgbenchError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.npy"


VALUES = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)


def write(path, rows=10):
    with CheckedRows(path, 10) as file:
        for start in range(0, rows, 3):
            file.append(VALUES[start : min(start + 3, rows)])
    return file


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def test_rows_are_read_as_written_in_the_format_of_numpy(path):
    file = write(path)
    assert np.array_equal(file.read(), VALUES)
    assert file.ends == {0, 3, 6, 9, 10}
    again = CheckedRows(path, 10)
    assert again.done == 10
    assert np.array_equal(again.read(), VALUES)
    assert are_complete(path, 10, path.with_suffix(".json"))


def test_the_rows_from_the_first_damaged_batch_on_are_lost_and_named(path, capsys):
    write(path, 9)
    flip(path, -10 - (10 - 7) * 24)  # in row 6, of the third batch
    assert not are_complete(path, 10, path.with_suffix(".json"))
    file = CheckedRows(path, 10)
    assert file.done == 6
    assert "Its rows from 6 on are computed again" in capsys.readouterr().err
    file.append(VALUES[6:] + 1)  # and the program is killed
    file = CheckedRows(path, 10)
    assert file.done == 6
    assert not capsys.readouterr().err
    file.append(VALUES[6:])
    file.flush()
    assert np.array_equal(CheckedRows(path, 10).read(), VALUES)


@pytest.mark.parametrize("damage", [
    lambda path: flip(path, 20), lambda path: path.write_bytes(path.read_bytes()[:-30]), lambda path: path.write_bytes(
    b""), lambda path: np.save(path, np.zeros((10, 6), np.float64)),
    lambda path: path.with_suffix(".json").write_text("{}"),
])  # fmt: skip
def test_a_damaged_file_is_named_and_set_aside(path, damage, capsys):
    write(path)
    damage(path)
    assert CheckedRows(path, 10).done == 0
    assert "is damaged (" in capsys.readouterr().err
    assert [file.suffix for file in path.parent.glob("*.damaged")] == [".damaged"]
    assert np.array_equal(write(path).read(), VALUES)


def test_a_file_with_another_number_of_rows_is_not_used(path):
    write(path)
    assert CheckedRows(path, 11).done == 0
    write(path)
    assert not are_complete(path, 11, path.with_suffix(".json"))
    assert not are_complete(path.with_name("missing.npy"), 10, path.with_suffix(".json"))


def test_an_interruption_before_the_first_checksum_is_no_damage(path, capsys):
    write(path, 3)
    path.with_suffix(".json").unlink()
    assert CheckedRows(path, 10).done == 0
    assert not capsys.readouterr().err


def test_a_full_disk_is_an_error_that_keeps_the_finished_rows(path, monkeypatch):
    write(path, 6)
    file = CheckedRows(path, 10)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        file.append(VALUES[6:])
        with pytest.raises(FgbenchError, match=r"disk of .* is full") as caught:
            file.flush()
    assert "free space" in caught.value.hint
    assert file.done == 6
    file.flush()  # fsync succeeds now, but the rows may be lost
    file = CheckedRows(path, 10)
    assert file.done == 6
    file.append(VALUES[6:])
    assert np.array_equal(file.read(), VALUES)


def test_checksums_are_read_in_blocks(path, monkeypatch):
    write(path)
    monkeypatch.setattr(checked_rows, "BLOCK", 7)
    assert CheckedRows(path, 10).done == 10
    batches = json.loads(path.with_suffix(".json").read_text())["batches"]
    assert batches[1] == [3, zlib.crc32(VALUES[3:6].tobytes())]

"""When rows of `CheckedRows` reach the disk, and what is left when the machine stops."""

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fgbench.util import checked_rows
from fgbench.util.checked_rows import CheckedRows
from fgbench.util.errors import FgbenchError

VALUES = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)


def append(file, values, until=10):
    """Append batches of two rows."""
    for row in range(file.done, until, 2):
        file.append(values[row : min(row + 2, until)])


def test_rows_are_flushed_by_time_and_by_bytes(tmp_path, monkeypatch):
    now, flushed = [0.0], []
    monkeypatch.setattr(checked_rows.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checked_rows, "FLUSH_S", 5)
    monkeypatch.setattr(checked_rows, "FLUSH_BYTES", 3 * VALUES[0].nbytes)
    write = checked_rows.write_checked_json
    monkeypatch.setattr(checked_rows, "write_checked_json", lambda *a: (flushed.append(file.done), write(*a)))
    with CheckedRows(tmp_path / "rows.npy", 10) as file:
        for row, seconds in enumerate((1, 1, 1, 4, 1, 5, 1, 1, 1, 1)):
            now[0] += seconds
            file.append(VALUES[row : row + 1])
        assert flushed == [3, 5, 6, 9]
    file.flush()
    assert flushed == [3, 5, 6, 9, 10]


def test_an_error_keeps_the_rows_before_it(tmp_path):
    def fails():
        with CheckedRows(tmp_path / "rows.npy", 10) as file:
            append(file, VALUES, 6)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert CheckedRows(tmp_path / "rows.npy", 10).done == 6


class FullFile:
    """An open file on a full disk."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def seek(self, *place):
        self._file.seek(*place)

    def write(self, content):
        self._file.write(bytes(content)[:5])
        self._file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_write_that_fails_keeps_the_rows_before_it(tmp_path, monkeypatch):
    path, opened = tmp_path / "rows.npy", Path.open

    def fails():
        with CheckedRows(path, 10) as file:
            append(file, VALUES, 6)
            with monkeypatch.context() as patch:
                patch.setattr(Path, "open", lambda *a, **k: FullFile(opened(*a, **k)))
                append(file, VALUES)

    with pytest.raises(FgbenchError, match=r"disk of .* is full"):
        fails()
    again = CheckedRows(path, 10)
    assert again.done == 6
    with again:
        append(again, VALUES)
    assert np.array_equal(CheckedRows(path, 10).read(), VALUES)


class StoppedError(BaseException):
    """The end of the program."""


class Machine:
    """A machine that stops before its n-th operation on files. Its disk has what the last fsync of each array wrote."""

    def __init__(self, patch, at, path):
        self._at, self._calls, self._disk, self._path, self._copying = at, 0, {}, path, False
        if path.exists():
            self._sync()
        for owner, name in ((os, "fsync"), (Path, "open"), (Path, "replace"), (Path, "unlink")):
            patch.setattr(owner, name, self._counted(name, getattr(owner, name)))

    def _sync(self):
        self._copying = True
        self._disk[self._path.stat().st_ino] = self._path.read_bytes()
        self._copying = False

    def _counted(self, name, function):
        def counted(*arguments, **options):
            if not self._copying:
                self._calls += 1
                if self._calls == self._at:
                    raise StoppedError
                if name == "fsync" and Path(f"/proc/self/fd/{arguments[0]}").readlink() == self._path:
                    self._sync()
            return function(*arguments, **options)

        return counted

    def start_again(self):
        if self._path.exists():
            status = self._path.stat()
            self._path.write_bytes(self._disk.get(status.st_ino, bytes(status.st_size)))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("kept", [None, 0, 2, 8])
def test_a_machine_that_stops_loses_only_rows_that_are_not_flushed(tmp_path, monkeypatch, capsys, kept):
    """With `kept`, the rows after it are computed again and differ, as they may on a GPU."""
    old, new = VALUES, VALUES.copy()
    new[kept or 0 :] += 1
    for at in range(1, 100):
        path, flushed = tmp_path / str(at) / "rows.npy", 0
        path.parent.mkdir()
        if kept is not None:
            with CheckedRows(path, 10) as file:
                append(file, old, 8)
            flushed = kept
        try:
            with monkeypatch.context() as patch:
                machine = Machine(patch, at, path)
                file = CheckedRows(path, 10)
                if kept is not None:
                    file.keep(kept)
                for until in (6, 8, 10):
                    if until > file.done:
                        append(file, new, until)
                        file.flush()
                        flushed = until
            break
        except StoppedError:
            machine.start_again()
        again = CheckedRows(path, 10)
        assert again.done >= flushed
        if again.done:
            assert any(np.array_equal(again.read()[: again.done], values[: again.done]) for values in (old, new))
        with again:
            append(again, new)
        assert CheckedRows(path, 10).done == 10
        assert not capsys.readouterr().err
    assert at > 8

import json
import os
import sys
from threading import Event

import numpy as np
import pytest
import torch

from fgbench.runs.row_files import map_images, map_outputs
from fgbench.runs.training import linear_svm
from fgbench.util import checked_rows
from fgbench.util.checked_rows import CheckedRows
from fgbench.util.errors import FgbenchError
from fgbench.util.memory import forget_peak, peak_mib

CPU = torch.device("cpu")


def images(count, side=8):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def flat(batch):
    return batch.flatten(1).float()


def finished_rows(path):
    return sum(rows for rows, _ in json.loads(path.with_suffix(".json").read_text())["batches"])


def expected(pixels):
    """Return the rows of the images, then of their mirror images, computed in a loop."""
    return np.stack([image.transpose(2, 0, 1).ravel() for image in [*pixels, *pixels[:, :, ::-1]]]).astype(np.float32)


def test_rows_of_images_and_mirror_images_continue_after_an_interruption(tmp_path):
    pixels = images(10)
    path = tmp_path / "rows.npy"
    calls = []

    def fails(batch):
        calls.append(len(batch))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return flat(batch)

    with pytest.raises(KeyboardInterrupt):
        map_images(path, pixels, fails, batch_size=4, device=CPU, mirror=True)
    assert finished_rows(path) == 10
    assert np.array_equal(np.load(path)[:10], expected(pixels)[:10])

    seen = []

    def progress(done, total):
        seen.append((done, total))

    rows = map_images(path, pixels, flat, batch_size=4, device=CPU, mirror=True, progress=progress)
    assert seen == [(14, 20), (18, 20), (20, 20)]
    assert rows.dtype == np.float32
    assert np.array_equal(rows, expected(pixels))
    assert len(np.load(path)) == 20


def test_rows_are_counted_after_they_are_synced_to_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(checked_rows, "FLUSH_S", 0)
    pixels, path = images(6), tmp_path / "rows.npy"
    synced = []

    def fails(handle):
        synced.append(os.fstat(handle).st_size == path.stat().st_size)
        if sum(synced) == 2:  # the rows of the second batch
            raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fails)
        with pytest.raises(FgbenchError, match="no room"):
            map_images(path, pixels, flat, batch_size=2, device=CPU)
    assert finished_rows(path) == 2
    assert np.array_equal(map_images(path, pixels, flat, batch_size=2, device=CPU), expected(pixels)[:6])


def test_rows_are_flushed_once_and_not_with_each_batch(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr("os.fsync", lambda handle: (synced.append(handle), fsync(handle)))
    monkeypatch.setattr(checked_rows, "FLUSH_S", 1e9)
    map_images(tmp_path / "rows.npy", images(50), flat, batch_size=2, device=CPU)
    assert len(synced) == 2  # the rows, then the checksums
    assert finished_rows(tmp_path / "rows.npy") == 50


def test_a_batch_is_computed_while_the_rows_of_the_last_one_are_written(tmp_path, monkeypatch):
    pixels, calls, second, waited = images(6), [], Event(), []
    append = CheckedRows.append

    def appending(self, rows):
        if not waited:
            waited.append(second.wait(60))
        append(self, rows)

    def compute(batch):
        calls.append(len(batch))
        if len(calls) == 2:
            second.set()
        return flat(batch)

    monkeypatch.setattr(CheckedRows, "append", appending)
    assert np.array_equal(
        map_images(tmp_path / "rows.npy", pixels, compute, batch_size=2, device=CPU), expected(pixels)[:6]
    )
    assert waited == [True]


def test_rows_that_are_being_written_are_kept_after_an_interruption(tmp_path, monkeypatch):
    interrupted, append = Event(), CheckedRows.append

    def slow(self, rows):
        interrupted.wait(0.3)
        append(self, rows)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(CheckedRows, "append", slow)
    with pytest.raises(KeyboardInterrupt):
        map_images(tmp_path / "rows.npy", images(6), flat, batch_size=2, device=CPU, progress=stop)
    interrupted.set()
    assert finished_rows(tmp_path / "rows.npy") == 4


@pytest.mark.parametrize("number", range(4))
def test_files_of_one_pass_continue_at_the_same_row(tmp_path, monkeypatch, number):
    pixels = images(6)
    paths = {name: tmp_path / f"{name}.npy" for name in ("a", "b")}
    write, written = checked_rows.write_checked_json, []

    def killed(path, value):
        write(path, value)
        written.append(path)
        if len(written) > number:
            raise KeyboardInterrupt

    def both(batch):
        return {"a": flat(batch), "b": -flat(batch)}

    with monkeypatch.context() as patch:
        patch.setattr(checked_rows, "FLUSH_S", 0)
        patch.setattr(checked_rows, "write_checked_json", killed)
        with pytest.raises(KeyboardInterrupt):
            map_outputs(paths, pixels, both, batch_size=2, device=CPU)
    arrays = map_outputs(paths, pixels, both, batch_size=2, device=CPU)
    assert np.array_equal(arrays["a"], expected(pixels)[:6])
    assert np.array_equal(arrays["b"], -expected(pixels)[:6])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_large_descriptors_do_not_increase_peak_memory_by_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(linear_svm, "COLUMN_BYTES", 16 << 20)
    width = 1 << 18  # 500 MiB for all rows
    draw = torch.Generator().manual_seed(0)
    pixels = images(500)
    random = torch.randn(len(pixels), width // 64, generator=draw)

    def wide(batch):
        rows = random[batch[:, 0, 0, 0].long()]
        return torch.nn.functional.normalize(rows).repeat(1, 64) / 8

    forget_peak()
    before = peak_mib()
    rows = map_images(tmp_path / "rows.npy", pixels, wide, batch_size=10, device=CPU)
    half = rows.nbytes / 2**21
    assert peak_mib() < before + half
    linear_svm.train_svm(rows, np.arange(len(pixels)) % 2, 2)
    assert peak_mib() < before + half

import os

import pytest
from many_records import fill

from fgbench.records import file_stamps, store


@pytest.fixture
def special_file():
    """Return a function that makes a FIFO, a link to a device, or a folder."""

    def make(path, kind):
        {"FIFO": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)

    return make


@pytest.fixture
def indexed(monkeypatch, tmp_path):
    """Give every folder an index, also of files that were written just now, and return a cache folder."""
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "MIN_RECORDS", 1)
    monkeypatch.setattr(file_stamps, "SETTLED_NS", -(10**18))
    return tmp_path / "cache"


@pytest.fixture
def results(tmp_path):
    """Return a results folder of 12 records, three seeds each."""
    fill(tmp_path / "runs", 12)
    return tmp_path / "runs"

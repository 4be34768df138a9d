import os

import pytest


@pytest.fixture
def special_file():
    """Return a function that makes a FIFO, a link to a device, or a folder."""

    def make(path, kind):
        {"FIFO": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)

    return make

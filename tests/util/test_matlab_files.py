import hashlib
import os
import random
import signal

import numpy as np
import pytest
from same_process import read_here
from scipy.io import savemat

from fgbench.util import matlab_files
from fgbench.util.errors import FgbenchError
from fgbench.util.matlab_files import read_mat

VALUES = {"numbers": np.arange(60.0).reshape(5, 12), "name": "a text"}


@pytest.fixture
def compressed(tmp_path):
    savemat(tmp_path / "a.mat", VALUES, do_compression=True)
    return tmp_path / "a.mat"


def read(path, **options):
    content = read_mat(path, squeeze=True, **options)
    return content["numbers"].tolist(), str(content["name"])


SOUND = VALUES["numbers"].tolist(), "a text"


def crash(path, content, squeeze, hint):
    signal.raise_signal(signal.SIGSEGV)


def test_a_file_is_read_once_in_a_child_process(compressed, monkeypatch):
    assert read(compressed) == SOUND
    monkeypatch.setattr(matlab_files, "_load", crash)
    read_mat(compressed, squeeze=True)["numbers"][:] = 0
    assert read(compressed) == SOUND  # no caller changes the arrays of another
    savemat(compressed, {"other": 1})
    with pytest.raises(FgbenchError, match=r"a.mat is damaged: reading it ended the process with signal 11\n  again"):
        read_mat(compressed, hint="again")


def test_published_files_are_read_in_this_process(compressed, monkeypatch):
    def refuse(*arguments, **limits):
        raise AssertionError("a child process")

    monkeypatch.setattr(matlab_files, "read_in_child", refuse)
    savemat(compressed, VALUES)
    md5 = hashlib.md5(compressed.read_bytes()).hexdigest()
    assert read(compressed, verified=True) == read(compressed, published_md5=("0", md5)) == SOUND
    with pytest.raises(AssertionError):
        read(compressed, published_md5=("0",))


def test_every_flipped_bit_of_a_compressed_file_is_an_error_or_changes_nothing(compressed, monkeypatch):
    read_here(monkeypatch)  # the checksum is verified before SciPy reads
    whole, rng = compressed.read_bytes(), random.Random(0)
    errors = 0
    for _ in range(400):
        place = rng.randrange(136, len(whole))  # behind the header and the first type
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        compressed.write_bytes(damaged)
        try:
            assert read(compressed) == SOUND
        except FgbenchError as error:
            errors += 1
            assert str(error).startswith(f"{compressed} is damaged or not a MATLAB file: ")  # noqa: PT017
    assert errors > 300


@pytest.mark.parametrize("length", [0, 100, 130, 140, 200])
def test_a_truncated_file_is_an_error(compressed, length):
    compressed.write_bytes(compressed.read_bytes()[:length])
    with pytest.raises(FgbenchError, match=r"a\.mat is damaged or not a MATLAB file"):
        read_mat(compressed)


def test_what_is_no_file_is_an_error(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, problem in (("fifo", "a FIFO"), ("none", "No such file"), (".", "a folder")):
        with pytest.raises(FgbenchError, match=rf"cannot read .*{problem}"):
            read_mat(tmp_path / name)


def test_a_process_that_blocks_is_an_error(compressed, monkeypatch):
    savemat(compressed, {"blocks": 1})
    monkeypatch.setattr(matlab_files, "LIMIT_S", 0.0)
    with pytest.raises(FgbenchError, match=r"a.mat is damaged: reading it took more than .* seconds"):
        read_mat(compressed)

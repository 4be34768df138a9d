import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fgbench.util.child_process import read_in_child
from fgbench.util.errors import FgbenchError

PATH = Path("x.mat")


def test_the_value_is_that_of_another_process():
    assert read_in_child(PATH, 60, "", os.getpid) not in {0, os.getpid()}
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(read_in_child(PATH, 60, "", np.transpose, array), array.T)


def test_output_of_the_function_is_not_taken_for_its_value():
    assert read_in_child(PATH, 60, "", os.write, 1, b"text") == 4
    assert read_in_child(PATH, 60, "", print, "text") is None


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_an_error_that_names_the_signal(number):
    with pytest.raises(FgbenchError) as caught:
        read_in_child(PATH, 60, "get it again", signal.raise_signal, number)
    expected = f"x.mat is damaged: reading it ended the process with signal {int(number)}\n  get it again"
    assert str(caught.value) == expected


def test_a_process_that_blocks_is_ended():
    before = set(_children())
    with pytest.raises(FgbenchError, match=r"x.mat is damaged: reading it took more than 0.5 seconds"):
        read_in_child(PATH, 0.5, "", time.sleep, 60)
    assert set(_children()) <= before


def _children() -> list[str]:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


def test_memory_is_limited():
    with pytest.raises(MemoryError):
        read_in_child(PATH, 60, "", bytearray, 1 << 29, memory_bytes=1 << 28)


def test_errors_of_the_function_are_raised_here():
    with pytest.raises(ZeroDivisionError):
        read_in_child(PATH, 60, "", divmod, 1, 0)
    with pytest.raises(FgbenchError, match=r"the process that reads x.mat failed: .*pickle"):
        read_in_child(PATH, 60, "", threading.Lock)


def test_the_process_ends_with_its_parent():
    call = pickle.dumps((os.getpid() + 1, 0, time.sleep, (60,)))  # as if the parent had ended
    command = [sys.executable, "-m", "fgbench.util.child_process"]
    assert subprocess.run(command, input=call, timeout=30, check=False).returncode == 1

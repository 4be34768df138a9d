"""Work in a process of its own: its result, its errors, and its end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fgbench.util.errors import FgbenchError
from fgbench.util.processes import in_own_process


def end(how):
    """Return the id of this process, raise an error, or end by a signal."""
    if how == "error":
        raise FgbenchError("not possible")
    if how == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def write_id(path):
    """Write the id of this process to a file, and wait."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def test_the_function_runs_in_another_process():
    assert in_own_process("measures", end, "result") != os.getpid()


def test_its_errors_are_raised_here():
    with pytest.raises(FgbenchError, match="not possible"):
        in_own_process("measures", end, "error")


def test_a_process_that_is_ended_is_named():
    with pytest.raises(FgbenchError, match="the process that measures a GPU was ended"):
        in_own_process("measures a GPU", end, "signal")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the states of processes are read from /proc")
def test_it_ends_with_its_parent(tmp_path):
    program = "from test_processes import *\nif __name__ == '__main__': in_own_process('waits', write_id, 'id')"
    (tmp_path / "program.py").write_text(program)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    parent = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, env=environment)
    file = tmp_path / "id"
    while not (file.exists() and file.read_text()):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    status = Path(f"/proc/{file.read_text()}/status")
    deadline = time.monotonic() + 60
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < deadline, "the process still runs"
        time.sleep(0.05)

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pool_tasks
import psutil
from pool_tasks import Notes

from fgbench.runs.executors.pool import PoolTask, run_tasks
from fgbench.util.errors import FgbenchError


def write(path, report):
    report("writing", 1.0)
    Path(path).write_text(str(os.getpid()))


def mistake(report):
    raise FgbenchError("no such thing", "type that")


def bug(report):
    raise ZeroDivisionError("oops")


def full_disk(report):
    raise OSError(28, "No space left on device", "/data/x")


def no_memory(report):
    raise MemoryError("Unable to allocate 4.00 TiB")


def die(report):
    os.kill(os.getpid(), signal.SIGKILL)


def test_tasks_run_in_separate_processes_and_a_failure_does_not_stop_the_others(tmp_path):
    tasks = [
        PoolTask("mistake", mistake),
        PoolTask("bug", bug),
        PoolTask("killed", die),
        PoolTask("disk", full_disk),
        PoolTask("memory", no_memory),
        PoolTask("fine", partial(write, tmp_path / "a")),
        PoolTask("too", partial(write, tmp_path / "b")),
    ]
    notes = Notes()
    failures = {failure.name: failure for failure in run_tasks(tasks, notes, jobs=2)}
    assert set(failures) == {"mistake", "bug", "killed", "disk", "memory"}
    assert failures["mistake"].message == "no such thing\n  type that"
    assert failures["mistake"].detail == ""
    assert "ZeroDivisionError: oops" in failures["bug"].message
    assert "Traceback" in failures["bug"].detail
    assert "SIGKILL" in failures["killed"].message
    assert failures["disk"].message.startswith("the disk of /data is full")
    assert failures["memory"].message.startswith("the memory is not enough: Unable to allocate 4.00 TiB")
    assert {(tmp_path / "a").read_text(), (tmp_path / "b").read_text()}.isdisjoint({str(os.getpid())})
    assert ("fine", "writing", 1.0) in notes.steps
    assert len(notes.ends) == 7


def test_a_task_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys\nfrom functools import partial\n"
        f"sys.path.insert(0, {str(Path(pool_tasks.__file__).parent)!r})\n"
        "from pool_tasks import Notes, forever\nfrom fgbench.runs.executors.pool import PoolTask, run_tasks\n"
        "if __name__ == '__main__':\n    run_tasks([PoolTask('x', partial(forever, sys.argv[1]))], Notes())\n"
    )
    mark = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, str(script), str(mark)])
    for _ in range(600):
        if mark.is_file() and mark.read_text():
            break
        time.sleep(0.1)
    child = int(mark.read_text())
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        raise AssertionError("the task outlived its parent")

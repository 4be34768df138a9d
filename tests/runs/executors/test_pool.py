import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pool_tasks
import psutil
import pytest
import torch
from pool_tasks import Notes

from fgbench.runs.executors import pool
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


def failed_check(report):
    raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later")


def full_gpu(report):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 GiB free.")


def die(report):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(pool._METHOD != "forkserver", reason="processes of this system start from nothing")
def test_a_process_starts_with_the_compiler_of_torch_and_the_parsed_code(tmp_path):
    # In a process of its own, which has no fork server of other tests.
    program = f"""
from functools import partial
from pool_tasks import Notes, note_what_is_there
from fgbench.runs.executors.pool import PoolTask, run_tasks
print(run_tasks([PoolTask("note", partial(note_what_is_there, {str(tmp_path / "a")!r}))], Notes()))
"""
    helpers = str(Path(pool_tasks.__file__).parent)
    paths = os.pathsep.join([helpers, os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr
    assert (tmp_path / "a").read_text() == "True True"


def test_tasks_run_in_separate_processes_and_a_failure_does_not_stop_the_others(tmp_path):
    tasks = [
        PoolTask("mistake", mistake),
        PoolTask("bug", bug),
        PoolTask("killed", die),
        PoolTask("disk", full_disk),
        PoolTask("memory", no_memory),
        PoolTask("check", failed_check),
        PoolTask("GPU", full_gpu),
        PoolTask("fine", partial(write, tmp_path / "a")),
        PoolTask("too", partial(write, tmp_path / "b")),
    ]
    notes = Notes()
    failures = {failure.name: failure for failure in run_tasks(tasks, notes, jobs=2)}
    assert set(failures) == {"mistake", "bug", "killed", "disk", "memory", "check", "GPU"}
    assert failures["mistake"].message == "no such thing\n  type that"
    assert failures["mistake"].detail == ""
    assert "ZeroDivisionError: oops" in failures["bug"].message
    assert "Traceback" in failures["bug"].detail
    assert "SIGKILL" in failures["killed"].message
    assert failures["disk"].message.startswith("the disk of /data is full")
    assert failures["memory"].message.startswith("the memory is not enough: Unable to allocate 4.00 TiB")
    assert failures["check"].message.startswith("a check of values failed on the GPU")
    assert "CUDA_LAUNCH_BLOCKING=1" in failures["check"].message
    assert failures["GPU"].message.startswith("the memory of the GPU is not enough: Tried to allocate 2.00 GiB\n")
    assert all("Traceback" in failures[name].detail for name in ("check", "GPU"))
    assert {(tmp_path / "a").read_text(), (tmp_path / "b").read_text()}.isdisjoint({str(os.getpid())})
    assert ("fine", "writing", 1.0) in notes.steps
    assert len(notes.ends) == 9


def test_running_tasks_end_at_the_deadline_and_no_task_starts_after_it(tmp_path):
    tasks = [PoolTask(name, partial(pool_tasks.forever, tmp_path / name)) for name in ("first", "second")]
    notes = Notes()
    assert run_tasks(tasks, notes, deadline=time.monotonic() + 5) == []
    assert notes.ends == []
    assert not (tmp_path / "second").exists()
    if (tmp_path / "first").exists():  # not on a machine that takes longer to start a process
        assert not psutil.pid_exists(int((tmp_path / "first").read_text()))


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


def read_and_write(before, path, report):
    Path(path).write_text(Path(before).read_text())


def test_a_task_starts_after_the_one_that_it_names_while_others_go_on(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    tasks = [
        PoolTask("last", partial(read_and_write, second, third), key="c", after=("b",)),
        PoolTask("middle", partial(read_and_write, first, second), key="b", after=("a",)),
        PoolTask("first", partial(write, first), key="a", after=("a key of no task",)),
        PoolTask("other", partial(write, tmp_path / "d"), key="d"),
    ]
    for jobs in (1, 3):
        notes = Notes()
        assert run_tasks(tasks, notes, jobs=jobs) == []
        ends = [name for name, _ in notes.ends]
        assert sorted(ends) == ["first", "last", "middle", "other"]
        assert ends.index("first") < ends.index("middle") < ends.index("last")
        for path in (first, second, third):
            path.unlink()


def test_tasks_after_a_killed_one_are_not_run_and_say_why(tmp_path):
    tasks = [
        PoolTask("killed", die, key="a"),
        PoolTask("next", partial(write, tmp_path / "b"), key="b", after=("a",)),
        PoolTask("last", partial(write, tmp_path / "c"), key="c", after=("b",)),
        PoolTask("other", partial(write, tmp_path / "d"), key="d"),
    ]
    for jobs in (1, 2):
        notes = Notes()
        failures = {failure.name: failure.message for failure in run_tasks(tasks, notes, jobs=jobs)}
        assert failures.pop("killed").startswith("its process ended with signal 9")
        assert failures == {"next": "not run, because killed failed", "last": "not run, because next failed"}
        assert sorted(name for name, _ in notes.ends) == ["killed", "last", "next", "other"]
        assert [path.name for path in tmp_path.iterdir()] == ["d"]

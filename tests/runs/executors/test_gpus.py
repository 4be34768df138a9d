import os
from functools import partial
from pathlib import Path

import pytest
import torch
from pool_tasks import Notes

from fgbench.runs.executors import pool, runner
from fgbench.runs.executors.gpus import VARIABLE, GpuPool, visible_gpus
from fgbench.runs.executors.pool import PoolTask, run_tasks
from fgbench.runs.planning import Plan


class Listener(Notes):
    def __init__(self):
        super().__init__()
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.mark.parametrize(("variable", "count", "names"), [
    (None, 0, []),
    (None, 3, ["0", "1", "2"]),
    ("", 0, []),
    ("2, 5", 2, ["2", "5"]),
    ("GPU-aa,GPU-bb", 2, ["GPU-aa", "GPU-bb"]),
    ("0,1,7", 2, ["0", "1"]),
])  # fmt: skip
def test_gpus_are_named_as_the_variable_names_them(variable, count, names, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert visible_gpus() == names


def test_a_task_gets_the_gpu_with_the_fewest_tasks():
    gpus = GpuPool(["a", "b"])
    assert [gpus.take() for _ in range(3)] == ["a", "b", "a"]
    gpus.give_back("b")
    gpus.give_back(None)
    assert gpus.take() == "b"
    assert GpuPool([]).take() is None


def meet(folder, name, others, report):
    """Write the GPU of this process, and wait until the others have written theirs."""
    (folder / name).write_text(os.environ.get(VARIABLE, "none"))
    while not all((folder / other).exists() for other in others):
        pass


def gpus_of_tasks(tmp_path, names, jobs, monkeypatch, tasks=2):
    monkeypatch.setattr(pool, "visible_gpus", lambda: names)
    monkeypatch.delenv(VARIABLE, raising=False)
    together = [f"task {number}" for number in range(tasks)]
    work = [PoolTask(name, partial(meet, tmp_path, name, together[:jobs]), gpu=True) for name in together]
    listener = Listener()
    assert run_tasks([*work, PoolTask("cpu", partial(meet, tmp_path, "cpu", []))], listener, jobs=jobs) == []
    return {name: (tmp_path / name).read_text() for name in [*together, "cpu"]}, listener.texts


def test_each_of_two_tasks_has_its_own_gpu_and_a_task_without_gpu_none(tmp_path, monkeypatch):
    seen, texts = gpus_of_tasks(tmp_path, ["4", "GPU-x"], 2, monkeypatch)
    assert seen == {"task 0": "4", "task 1": "GPU-x", "cpu": "none"}
    assert texts == []


def test_more_tasks_at_a_time_than_gpus_share_them_with_a_note(tmp_path, monkeypatch):
    seen, (text,) = gpus_of_tasks(tmp_path, ["0"], 2, monkeypatch)
    assert seen == {"task 0": "0", "task 1": "0", "cpu": "none"}
    assert text.startswith("2 runs at a time share 1 GPU: ")
    assert "--jobs 1" in text


def test_a_gpu_is_used_again_when_its_task_has_ended(tmp_path, monkeypatch):
    seen, texts = gpus_of_tasks(tmp_path, ["0"], 1, monkeypatch)
    assert seen == {"task 0": "0", "task 1": "0", "cpu": "none"}
    assert texts == []


@pytest.mark.parametrize(("device", "gpu"), [("cpu", False), ("cuda", True)])
def test_runs_on_a_gpu_are_tasks_with_a_gpu(device, gpu, tmp_path, monkeypatch):
    from types import SimpleNamespace

    started = []
    monkeypatch.setattr(runner, "run_tasks", lambda tasks, *rest, **more: started.extend(tasks) or [])
    run = SimpleNamespace(id="x", title="run", threads=4, device=device, streams=(), parent=None, network_needed=False)
    runner.run_plan(Plan((run,), {}), Path(tmp_path), Listener())
    assert [(task.gpu, task.threads) for task in started] == [(gpu, 4)]

"""What several processes share, without starting them; `tests/runs/test_several_processes.py` starts two."""

from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from small_trainings import Share, bcnn, data, stage

from fgbench.runs import execute
from fgbench.runs.executors import runner
from fgbench.runs.training import distributed
from fgbench.runs.training.distributed import Engine, SharedError
from fgbench.runs.training.loop import train
from fgbench.util.errors import FgbenchError


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [1, 2, 4, 7])
def test_shares_of_the_images_of_a_batch_have_the_weights_of_its_mean(images, processes):
    values, mean = torch.arange(images).double(), 0.0
    for rank in range(processes):
        positions, share = Share(rank, processes).share(images)
        assert share > 0
        assert len(positions) > 0
        mean += share * float(values[positions].mean())
    assert mean == pytest.approx(float(values.mean()))


def test_a_batch_that_processes_cannot_share_is_refused_before_the_first_stage(tmp_path):
    stages = [("head", stage(batch_size=8)), ("finetune", stage(step=2, batch_size=1))]
    reason = "2 processes cannot share the batches of stage 'finetune': the effective batch is that of the recipe, 1,"
    with pytest.raises(FgbenchError, match=reason):
        train(bcnn(), data(), stages, seed=0, engine=Share(0, 2), work=tmp_path)
    assert not list(tmp_path.iterdir())
    for processes, batch_size in ((1, 1), (2, 2), (2, 3)):
        Share(0, processes).check_batch("finetune", batch_size)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(FgbenchError, match="4 processes on a machine with 2 GPUs") as error:
        distributed._fabric.__wrapped__("cuda", "32-true")
    assert "--nproc-per-node 2" in error.value.hint


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("fails", [False, True])
def test_every_process_ends_a_run_with_the_first_one(rank, fails, monkeypatch):
    """The first process also waits if it fails, because the others wait for it."""
    calls = []

    @contextmanager
    def together():
        try:
            yield
        finally:
            calls.append("wait")

    class Execution:
        def __init__(self, *arguments):
            self.engine = SimpleNamespace(rank=rank, together=together)

        prepare = learn = fit = predict = lambda self: None

        def keep(self, arrays):
            calls.append("keep")
            if fails:
                raise FgbenchError("the disk is full")

    monkeypatch.setattr(execute, "Execution", Execution)
    run = SimpleNamespace(threads=1, network=None)
    if fails and not rank:
        with pytest.raises(FgbenchError):
            execute.execute(run, None, None)
    else:
        execute.execute(run, None, None)
    assert calls == (["wait", "wait"] if rank else ["wait", "keep", "wait"])


def test_one_process_raises_its_own_error():
    with pytest.raises(ZeroDivisionError), Engine().together():
        raise ZeroDivisionError


@pytest.mark.parametrize(("error", "done"), [(SharedError("the disk is full"), 1), (FgbenchError("only here"), 0)])
def test_the_next_run_starts_only_if_all_processes_know_the_failure(error, done, monkeypatch):
    runs = [SimpleNamespace(title=title, id=title, parent=None) for title in ("first", "second")]

    def do_run(run, *arguments):
        started.append(run.title)
        if run.title == "first":
            raise error

    started, watcher = [], Mock()
    monkeypatch.setattr(runner, "do_run", do_run)
    if not done:
        with pytest.raises(FgbenchError, match="only here"):
            runner._run_in_this_process(runs, 0, None, watcher)
        assert started == ["first"]
        return
    result = runner._run_in_this_process(runs, 0, None, watcher)
    assert [failure.message for failure in result.failures] == ["the disk is full"]
    assert (started, result.done) == (["first", "second"], done)

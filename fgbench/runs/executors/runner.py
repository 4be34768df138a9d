"""Execution of a plan. Finished runs are kept, interrupted runs continue, and a failed run does not stop the others."""

import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fgbench.records.store import store_of
from fgbench.runs.execute import execute
from fgbench.runs.executors.pool import Failure, PoolTask, Report, Watcher, run_tasks
from fgbench.runs.planning import Plan
from fgbench.runs.run import Run
from fgbench.runs.training.distributed import processes, rank
from fgbench.runs.training.tiny_weights import pretrained_tiny, pretraining_birds
from fgbench.util.errors import FgbenchError
from fgbench.util.files import remove_leftovers
from fgbench.util.locks import locked

WORK = "work"
"""Name of the folder of unfinished work in a results folder."""


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a plan."""

    done: int
    """Number of runs that were finished now."""
    kept: int
    """Number of runs that were finished before."""
    failures: tuple[Failure, ...]
    """Failed runs and networks."""


def run_plan(plan: Plan, folder: Path, watcher: Watcher, *, jobs: int = 1) -> Result:
    """Execute every run of a plan that has no record yet.

    Args:
        plan: the runs.
        folder: results folder for records and unfinished work.
        watcher: receives the progress.
        jobs: maximum number of runs at the same time.

    Returns:
        The number of finished and kept runs, and the failures.
    """
    store = store_of(folder)
    todo = [run for run in plan.runs if not store.has_sound(run.id)]
    networks = {stream.network for run in todo for stream in run.streams if stream.trained_here}
    watcher.expect(len(networks) + len(todo))
    # Train the small networks of the `quick` profile. Their images are generated here by a pool of processes, because a
    # task cannot start one.
    if networks:
        pretraining_birds()
    failures = run_tasks(
        [PoolTask(f"network {network}", partial(_pretrain, network)) for network in sorted(networks)],
        watcher,
        jobs=jobs,
    )
    if failures:
        return Result(0, len(plan.runs) - len(todo), tuple(failures))
    # Execute the runs, each in a separate process unless torchrun started this one.
    if processes() > 1:
        return _run_in_this_process(todo, len(plan.runs) - len(todo), folder, watcher)
    failures = run_tasks(
        [PoolTask(run.title, partial(do_run, run, folder), run.threads, gpu=run.device == "cuda") for run in todo],
        watcher,
        jobs=jobs,
    )
    return Result(len(todo) - len(failures), len(plan.runs) - len(todo), tuple(failures))


def _run_in_this_process(todo: list[Run], kept: int, folder: Path, watcher: Watcher) -> Result:
    """Execute runs one after the other in this process, one of several equal processes that `torchrun` started."""
    failures = []
    for run in todo:
        started = time.monotonic()
        failure = None
        try:
            do_run(run, folder, partial(watcher.progress, run.title))
        except FgbenchError as error:
            failure = Failure(run.title, str(error))
            failures.append(failure)
        watcher.finished(run.title, failure, time.monotonic() - started)
    return Result(len(todo) - len(failures), kept, tuple(failures))


def _pretrain(network: str, report: Report) -> None:
    pretrained_tiny(network, report)


def do_run(run: Run, folder: Path, report: Report) -> None:
    """Execute a run in this process unless it has a record; unfinished work in `folder` is continued.

    Args:
        run: the run.
        folder: results folder for record and unfinished work.
        report: called with the progress.
    """
    store, work = store_of(folder), folder / WORK / run.id
    if rank():
        execute(run, store, work, report)
        return
    # A second program with the same plan waits here until the first has finished the run.
    with locked(work):
        if not store.has_sound(run.id):
            remove_leftovers(work)
            remove_leftovers(work / "watched")
            execute(run, store, work, report)
        if work.is_dir():  # also left by a run that was killed after its record was written
            shutil.rmtree(work, ignore_errors=True)

"""A plan of runs, done: finished runs are not done again, interrupted ones go on, failed ones do not stop the rest."""

import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock

from fgbench.records.store import store_of
from fgbench.runs.execute import execute
from fgbench.runs.executors.pool import Failure, Report, Task, Watcher, run_tasks
from fgbench.runs.planning import Plan
from fgbench.runs.run import Run
from fgbench.runs.training.distributed import processes, rank
from fgbench.runs.training.tiny_weights import pretrained_tiny, pretraining_birds
from fgbench.util.errors import FgbenchError

WORK = "work"


@dataclass(frozen=True, slots=True)
class Result:
    """How a plan came out."""

    done: int
    """Runs finished now."""
    kept: int
    """Runs that were finished before."""
    failures: tuple[Failure, ...]


def run_plan(plan: Plan, folder: Path, watcher: Watcher, *, jobs: int = 1) -> Result:
    """Do every run of a plan that has no record yet.

    Args:
        plan: the runs.
        folder: where records and unfinished work are kept.
        watcher: is told how it goes on.
        jobs: runs at a time.

    Returns:
        How many were done, and what failed.
    """
    store = store_of(folder)
    todo = [run for run in plan.runs if not store.has(run.id)]
    networks = {stream.network for run in todo for stream in run.streams if stream.trained_here}
    watcher.expect(len(networks) + len(todo))
    if networks:
        # Drawn here, by a pool of processes, which a task may not have.
        pretraining_birds()
    failures = run_tasks(
        [Task(f"network {network}", partial(_pretrain, network)) for network in sorted(networks)],
        watcher,
        jobs=jobs,
    )
    if failures:
        return Result(0, len(plan.runs) - len(todo), tuple(failures))
    if processes() > 1:
        return _together(todo, len(plan.runs) - len(todo), folder, watcher)
    failures = run_tasks(
        [Task(run.title, partial(do_run, run, folder), run.threads) for run in todo], watcher, jobs=jobs
    )
    return Result(len(todo) - len(failures), len(plan.runs) - len(todo), tuple(failures))


def _together(todo: list[Run], kept: int, folder: Path, watcher: Watcher) -> Result:
    """Runs one after the other in this process, which is one of several that `torchrun` started; all do the same."""
    failures = []
    for run in todo:
        torch.set_num_threads(run.threads)
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
    """Do a run in this process, unless its record is there; goes on from what an earlier try left in `folder`."""
    store, work = store_of(folder), folder / WORK / run.id
    work.parent.mkdir(parents=True, exist_ok=True)
    if rank():
        execute(run, store, work, report)
        return
    # A second start of the same plan waits here for a first one that is still alive.
    with FileLock(f"{work}.lock"):
        if not store.has(run.id):
            execute(run, store, work, report)
        shutil.rmtree(work, ignore_errors=True)  # left by a run that was killed just after its record was written

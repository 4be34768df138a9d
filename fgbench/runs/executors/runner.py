"""Execution of a plan. Finished runs are kept, interrupted runs continue, and a failed run does not stop the others."""

import math
import os
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fgbench.records.kept_networks import kept_network, remove_replaced
from fgbench.records.run_log import add_to_log
from fgbench.records.store import store_of
from fgbench.runs.execute import execute
from fgbench.runs.executors.pool import Failure, PoolTask, Report, Watcher, not_run, run_tasks
from fgbench.runs.plan_graph import is_finished, with_parents
from fgbench.runs.planning import Plan
from fgbench.runs.run import Run
from fgbench.runs.training.distributed import SharedError, processes, rank
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
    unfinished: int = 0
    """Number of runs that the deadline ended, or that it kept from starting."""


def run_plan(plan: Plan, folder: Path, watcher: Watcher, *, jobs: int = 1, deadline: float = math.inf) -> Result:
    """Execute every run of a plan that has no record yet.

    Args:
        plan: the runs.
        folder: results folder for records and unfinished work.
        watcher: receives the progress.
        jobs: maximum number of runs at the same time.
        deadline: value of `time.monotonic()` at which unfinished runs are ended; their work is kept.

    Returns:
        The number of finished, kept and unfinished runs, and the failures.
    """
    plan = with_parents(plan, folder)
    todo = [run for run in plan.runs if not is_finished(folder, run)]
    kept = len(plan.runs) - len(todo)
    watcher.expect(len(todo))
    # Execute the runs, each in a separate process unless torchrun started this one.
    if processes() > 1:
        return _run_in_this_process(todo, kept, folder, watcher)
    in_order = deadline < math.inf or jobs == 1
    tasks = [_task(run, folder) for run in (todo if in_order else sorted(todo, key=_trained_epochs, reverse=True))]
    failures = run_tasks(tasks, watcher, jobs=jobs, deadline=deadline)
    done = len(todo) - len(failures)
    if time.monotonic() >= deadline:
        done = sum(is_finished(folder, run) for run in todo)
    return Result(done, kept, tuple(failures), len(todo) - len(failures) - done)


def _trained_epochs(run: Run) -> int:
    """Count the epochs in which a run trains networks. Long runs start first, so that none is left alone at the end."""
    return sum(stage.epochs for _, stage in run.own_stages if set(stage.train) != {"classifier"})


def _task(run: Run, folder: Path) -> PoolTask:
    """Return the task of a run. It waits for the run from whose network it starts."""
    return PoolTask(
        run.title,
        partial(do_run, run, folder),
        run.threads,
        gpu=run.device == "cuda",
        key=run.id,
        after=(run.parent.id,) if run.parent else (),
    )


def _run_in_this_process(todo: list[Run], kept: int, folder: Path, watcher: Watcher) -> Result:
    """Execute runs one after the other in this process, one of several equal processes that `torchrun` started.

    A failure of one process that the others do not know ends the program, because they would wait for it.
    """
    failures: list[Failure] = []
    failed: dict[str, str] = {}
    for run in todo:
        started = time.monotonic()
        failure = None
        if run.parent and run.parent.id in failed:
            failure = not_run(run.title, failed[run.parent.id])
        else:
            watcher.progress(run.title, "starting", 0.0)
            try:
                do_run(run, folder, partial(watcher.progress, run.title))
            except SharedError as error:
                failure = Failure(run.title, str(error))
        if failure:
            failures.append(failure)
            failed[run.id] = run.title
        watcher.finished(run.title, failure, time.monotonic() - started)
    return Result(len(todo) - len(failures), kept, tuple(failures))


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
        if processes() > 1 and is_finished(folder, run):
            raise FgbenchError(f"another program has finished {run.title}", "run the command again")
        if not is_finished(folder, run):
            remove_leftovers(work)
            remove_leftovers(work / "watched")
            replaced = kept_network(store, run.id)
            with _logged(run, folder, report) as logged_report:
                execute(run, store, work, logged_report)
            remove_replaced(folder, replaced)
        if work.is_dir():  # also left by a run that was killed after its record was written
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _logged(run: Run, folder: Path, report: Report) -> Iterator[Report]:
    """Log the start, each step and the end of a run; a failure with its traceback.

    Yields:
        A function that is called with the progress, logs each new step, and calls `report`.
    """
    log, step = partial(add_to_log, folder, run.id), [""]

    def logged_report(what: str, share: float) -> None:
        if what != step[0]:
            log(f"{what}, {100 * share:.0f} % done")
            step[0] = what
        report(what, share)

    log(f"start of {run.title} on {run.device}: {os.environ.get('FGBENCH_COMMAND', '')}")
    try:
        yield logged_report
    except BaseException as error:
        log(f"failed: {error}\n{traceback.format_exc()}")
        raise
    log("finished")

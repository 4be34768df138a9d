"""A run done for another machine: it is planned anew here, and done only if it is the very same run.

`serve` is sent to the other machine as it stands, which may have another fgbench or none.
"""

import os
import pickle
import platform
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fgbench.util.errors import FgbenchError

if TYPE_CHECKING:
    from fgbench.runs.executors.pool import Failure, Report
    from fgbench.runs.run import Run

FOLDER = "cluster"
"""Folder of the cache that keeps the unfinished work of runs for other machines."""
PYTHON, SOURCE = "Python", "the source of fgbench"

Answer = tuple[Literal["done", "failed", "died", "refused"], Any]
"""What came of a run: the files of its record; a Failure; how its process died; or why this machine cannot do it."""


class RefusedError(FgbenchError):
    """This machine cannot do the run, where another might."""


def order(run: "Run") -> dict[str, Any]:
    """What `serve` is to be called with to do a run."""
    return {
        "run_id": run.id,
        "title": run.title,
        "threads": run.threads,
        "pickled": pickle.dumps(run),
        "needed": _needed(),
        "command": os.environ.get("FGBENCH_COMMAND", ""),
    }


@lru_cache(maxsize=1)
def _needed() -> dict[str, str]:
    from fgbench.records.provenance import PACKAGES

    return installed([*PACKAGES, PYTHON, SOURCE])


def installed(names: Iterable[str]) -> dict[str, str]:
    """Versions of packages, but for their builds, of Python and of the source of fgbench."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    if name == PYTHON:
        return ".".join(platform.python_version_tuple()[:2])
    try:
        if name == SOURCE:
            from fgbench.util.code_hash import hash_code

            return hash_code()
        return version(name).partition("+")[0]
    except (ImportError, PackageNotFoundError):
        return "missing"


def serve(
    run_id: str,
    title: str,
    threads: int,
    pickled: bytes,
    needed: dict[str, str],
    command: str,
    report: Callable[[str, float], object],
) -> Answer:
    """Do a run, or say why not. It goes on from what an earlier try left here.

    Args:
        run_id: its name on the machine that asks.
        title: what to call it.
        threads: that it may use.
        pickled: the run; it can be read only where the versions are the same.
        needed: versions, as `installed` gives them.
        command: the command that asked for it, for its provenance.
        report: called with what is being done and the share of it that is done.
    """
    here = installed(needed)
    if odd := [f"{name} is {here[name]}, not {said}" for name, said in needed.items() if here[name] != said]:
        return "refused", ", ".join(odd)

    from fgbench.records.store import RECORDS, Store
    from fgbench.runs.executors.pool import Task, run_tasks
    from fgbench.runs.executors.remote import RefusedError, do  # as a process of its own finds them
    from fgbench.util.files import cache_folder

    os.environ["FGBENCH_COMMAND"] = command
    folder = cache_folder() / FOLDER
    failures = run_tasks([Task(title, partial(do, run_id, pickled, folder), threads)], _Listener(report))
    if not failures:
        return "done", Store(folder / RECORDS).take(run_id)
    (failure,) = failures
    if failure.error == RefusedError.__name__:
        return "refused", failure.message
    return ("failed", failure) if failure.error else ("died", failure.message)


def do(run_id: str, pickled: bytes, folder: Path, report: "Report") -> None:
    """Do a run whose record is to be in `folder`, in a process of its own.

    Raises:
        RefusedError: the data or weights here make it another run, or are not here.
        FgbenchError: it fails in a way a user can mend.
    """
    import torch

    from fgbench.runs.executors.runner import do_run
    from fgbench.runs.planning import plan
    from fgbench.runs.training.tiny_weights import pretrained_tiny

    run: Run = pickle.loads(pickled)
    try:
        planned = plan(
            [run.recipe], run.profile, [run.seed], device=run.device, threads=run.threads, changes=run.changes
        )
    except FgbenchError as error:
        raise RefusedError(str(error)) from error
    for obstacle in planned.blocked.values():
        raise RefusedError(obstacle.reason, obstacle.command)
    (own,) = planned.runs
    if own.id != run_id:
        raise RefusedError(_difference(own, run))
    if run.device == "cuda" and not torch.cuda.is_available():
        raise RefusedError("torch sees no GPU")
    for stream in own.streams:
        if stream.trained_here:
            pretrained_tiny(stream.network, report)
    do_run(own, folder, report)


def _difference(here: "Run", there: "Run") -> str:
    """Why a run is not the same on two machines with equal versions."""
    for part in ("annotations", "images"):
        own, other = getattr(here.protocol, part), getattr(there.protocol, part)
        if own != other:
            return f"{here.settings.data} has other {part}: their hash is {own}, not {other}"
    for ours, theirs in zip(here.streams, there.streams, strict=True):
        if ours.sha256 != theirs.sha256:
            return f"{ours.stream} has other weights: their hash is {ours.sha256[:16]}, not {theirs.sha256[:16]}"
    return "it resolves the recipe to another run"


class _Listener:
    """Hands on how the one run goes on."""

    def __init__(self, report: Callable[[str, float], object]) -> None:
        self._report = report

    def expect(self, tasks: int) -> None:
        """Nobody asks."""

    def progress(self, name: str, what: str, share: float) -> None:
        """Tell the machine that asked."""
        self._report(what, share)

    def note(self, text: str) -> None:
        """There is nothing to say of one run."""

    def finished(self, name: str, failure: "Failure | None", wall_s: float) -> None:
        """The answer says it."""

"""Execution of a run for another machine. The run is planned again here, and executed only if its id is the same.

Ray sends the code of this module to the node, because the node may have another version of fgbench or none.
"""

import os
import pickle
import platform
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fgbench.util.errors import FgbenchError

if TYPE_CHECKING:
    from fgbench.runs.executors.pool import Failure, Report
    from fgbench.runs.run import Run

FOLDER = "cluster"
"""Folder in the cache for unfinished work of runs for other machines."""
PYTHON, CODE = "Python", "the code of fgbench"
"""Names of two requirements besides packages."""
Answer = tuple[Literal["done", "failed", "died", "refused"], Any]
"""Answer to a request: files of the record; a Failure; how the process died; or why this machine refuses the run."""


class RefusedError(FgbenchError):
    """This machine cannot execute the run; another machine may."""


def request_for(run: "Run", results: Path | None = None) -> dict[str, Any]:
    """Return the request for a run: the arguments of `serve`.

    Args:
        run: the run.
        results: results folder with the network from which the run starts; None if it starts from none.

    Raises:
        FgbenchError: this network is missing or damaged.
    """
    from fgbench.runs.starting_network import find_network

    network = find_network(results, run.parent).read_bytes() if results and run.parent else b""
    return {
        "network": network,
        "run_id": run.id,
        "title": run.title,
        "threads": run.threads,
        "pickled": pickle.dumps(run),
        "needed": _needed(),
        "command": os.environ.get("FGBENCH_COMMAND", ""),
    }


@lru_cache(maxsize=1)
def _needed() -> dict[str, str]:
    """Return the versions that another machine must have."""
    from fgbench.records.provenance import PACKAGES

    return installed([*PACKAGES, PYTHON, CODE])


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the version on this machine of each named requirement; `missing` if there is none.

    Args:
        names: names of packages, `PYTHON`, or `CODE`.

    Returns:
        Name -> version of a package without build tag, of Python, or the hash of the code of fgbench.
    """
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    if name == PYTHON:
        return ".".join(platform.python_version_tuple()[:2])
    try:
        if name == CODE:
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
    network: bytes = b"",
) -> Answer:
    """Execute a run, or answer why this machine refuses it. Unfinished work of an earlier attempt is continued.

    Args:
        run_id: id of the run on the machine that asks.
        title: title of the run.
        threads: number of threads that it may use.
        pickled: the run; readable only with the same versions.
        needed: required versions, as `installed` returns them.
        command: the command of the user, for the provenance.
        report: called with (name of the current step, finished share).
        network: file of the network from which the run starts; empty if it starts from none.

    Returns:
        The answer: its kind, and its content.
    """
    here = installed(needed)
    wrong = [f"{name} is {here[name]}, not {required}" for name, required in needed.items() if here[name] != required]
    if wrong:
        return "refused", ", ".join(wrong)

    from fgbench.runs.executors.pool import PoolTask, run_tasks

    # Imported by name, so that the process of the task can import them, too.
    from fgbench.runs.executors.remote import RefusedError, execute_request
    from fgbench.runs.executors.runner import WORK
    from fgbench.runs.executors.sent_files import drop_stale, take_files
    from fgbench.runs.starting_network import START
    from fgbench.util.files import cache_folder, write_bytes

    os.environ["FGBENCH_COMMAND"] = command
    folder = cache_folder() / FOLDER
    if network:
        write_bytes(folder / WORK / run_id / START, network)
        drop_stale(folder, run_id, network)
    failures = run_tasks(
        [PoolTask(title, partial(execute_request, run_id, pickled, folder), threads)], _Listener(report)
    )
    if not failures:
        return "done", take_files(folder, run_id)
    (failure,) = failures
    if failure.error == RefusedError.__name__:
        return "refused", failure.message
    return ("failed", failure) if failure.error else ("died", failure.message)


def execute_request(run_id: str, pickled: bytes, folder: Path, report: "Report") -> None:
    """Execute a run in a separate process; the record is written to `folder`.

    Args:
        run_id: id of the run on the machine that asks.
        pickled: the run.
        folder: results folder.
        report: called with the progress.

    Raises:
        RefusedError: data or weights are missing here or differ, so that the id of the run would differ.
        FgbenchError: the run fails in a way that a user can fix.
    """
    import torch

    from fgbench.runs.executors.runner import do_run
    from fgbench.runs.planning import plan

    run: Run = pickle.loads(pickled)
    try:
        planned = plan([run.recipe], run.profile, [run.seed], device=run.device, changes=run.changes)
    except FgbenchError as error:
        raise RefusedError(str(error)) from error
    for obstacle in planned.blocked.values():
        raise RefusedError(obstacle.reason, obstacle.command)
    (run_here,) = planned.runs
    if run_here.id != run_id:
        raise RefusedError(_difference(run_here, run))
    if run.device == "cuda" and not torch.cuda.is_available():
        raise RefusedError("torch sees no GPU")
    do_run(replace(run_here, keep_network=run.keep_network, network_needed=run.network_needed), folder, report)


def _difference(here: "Run", there: "Run") -> str:
    """Return why a run has another id here than on the machine that asks, although the versions are equal."""
    for part in ("annotations", "images"):
        hash_here, hash_there = getattr(here.protocol, part), getattr(there.protocol, part)
        if hash_here != hash_there:
            return f"{here.settings.data} has other {part}: their hash is {hash_here}, not {hash_there}"
    for a, b in zip(here.streams, there.streams, strict=True):
        if a.sha256 != b.sha256:
            return f"{a.stream} has other weights: their hash is {a.sha256[:16]}, not {b.sha256[:16]}"
    if here.parent and there.parent and here.parent.id != there.parent.id:
        return _difference(here.parent, there.parent)
    return "it resolves the recipe to another run"


class _Listener:
    """A watcher that forwards the progress of one run."""

    def __init__(self, report: Callable[[str, float], object]) -> None:
        self._report = report

    def expect(self, tasks: int) -> None:
        """Not needed for one run."""

    def progress(self, name: str, what: str, share: float) -> None:
        """Report to the machine that asked."""
        self._report(what, share)

    def note(self, text: str) -> None:
        """Not needed for one run."""

    def finished(self, name: str, failure: "Failure | None", wall_s: float) -> None:
        """Not needed: the answer contains it."""

"""`fgbench rm`."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, Results, existing

if TYPE_CHECKING:
    from fgbench.records.record import Record


def rm(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", autocompletion=completion.runs, help="Ids of runs, or their beginnings."),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    results: Results = RESULTS,
) -> None:
    """Remove runs with all their files.

    These are record, arrays, pictures, network, log and unfinished work.
    """
    from fgbench.cli.console import out
    from fgbench.cli.found_runs import find_run
    from fgbench.records.kept_networks import unnamed_networks, unnamed_text
    from fgbench.runs.executors.runner import WORK
    from fgbench.util.counted import counted
    from fgbench.util.locks import locked

    run_ids = list(dict.fromkeys(find_run(existing(results), run) for run in runs))
    paths = {run_id: files_of(results, run_id, run_ids) for run_id in run_ids}
    for run_id, files in paths.items():
        out(f"{run_id}: {', '.join(str(path.relative_to(results)) for path in files)}")
        if started := [user for user in runs_from(results, run_id) if user not in run_ids]:
            verbs = ("starts", "stays") if len(started) == 1 else ("start", "stay")
            out(
                f"  {counted(len(started), 'run')} that {verbs[0]} from its network and {verbs[1]}: "
                f"{', '.join(started)}"
            )
    if not yes:
        typer.confirm(f"remove {counted(len(run_ids), 'run')}?", abort=True)
    for run_id, files in paths.items():
        with locked(results / WORK / run_id):  # waits until no program executes the run
            for path in files:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    out(f"{counted(len(run_ids), 'run')} removed")
    for path in unnamed_networks(results):
        out(unnamed_text(path))


def files_of(results: Path, run_id: str, removed: list[str]) -> list[Path]:
    """Return the files and folders of a run, the record first.

    Args:
        results: results folder.
        run_id: id of the run.
        removed: ids of all runs that are removed. A network that another run has, too, is not among the files. The
            network from which the run started is, if its own run has another one now and no other run started from it.
    """
    from fgbench.records.expectations import EXPECTED
    from fgbench.records.kept_networks import network_path
    from fgbench.records.run_log import log_path
    from fgbench.records.store import store_of
    from fgbench.runs.executors.runner import WORK

    store = store_of(results)
    record = store.folder / f"{run_id}.json"
    others = sorted(path for path in store.folder.glob(f"{run_id}[ ._-]*") if path != record)
    beside = [log_path(results, run_id), results / EXPECTED / f"{run_id}.json", results / WORK / run_id]
    records = {known: _record(results, known) for known in store.run_ids()}
    staying = [other for known, other in records.items() if other and known not in removed]
    kept = {other.network_sha256 for other in staying}
    started = {other.starts_from.network_sha256 for other in staying if other.starts_from}
    # A record that cannot be read may name a network.
    readable = all(other for known, other in records.items() if known not in removed)
    if readable and (found := records.get(run_id)):
        start = found.starts_from.network_sha256 if found.starts_from else ""
        unneeded = {found.network_sha256} - kept | {start} - kept - started
        for path in (network_path(results, sha256) for sha256 in sorted(unneeded - {""})):
            beside += [path, path.with_suffix(".json")]
    return [path for path in (record, *others, *beside) if path.exists()]


def runs_from(results: Path, parent: str) -> list[str]:
    """Return the ids of the finished runs that started from the network of a run."""
    from fgbench.records.store import store_of

    store = store_of(results)
    records = {run_id: _record(results, run_id) for run_id in store.run_ids()}
    return [
        run_id
        for run_id, record in records.items()
        if record and record.starts_from and record.starts_from.run_id == parent
    ]


def _record(results: Path, run_id: str) -> "Record | None":
    """Return the record of a run; None if it cannot be read."""
    from fgbench.records.store import store_of
    from fgbench.util.errors import FgbenchError

    try:
        return store_of(results).read(run_id)
    except FgbenchError:
        return None

"""Runs of a results folder that the user names by id, or by the beginning of an id."""

from collections.abc import Sequence
from pathlib import Path

from fgbench.cli.next_steps import next_command
from fgbench.records.run_log import LOGS
from fgbench.records.store import store_of
from fgbench.runs.executors.runner import WORK
from fgbench.util.errors import FgbenchError, nearest


def run_ids(results: Path) -> list[str]:
    """Return the ids of all runs of a results folder, finished or not, sorted."""
    unfinished = [path.name for path in (results / WORK).glob("[!.]*") if path.is_dir()]
    logged = [path.stem for path in (results / LOGS).glob("[!.]*.log")]
    return sorted({*store_of(results).run_ids(), *unfinished, *logged})


def find_run(results: Path, name: str, known: Sequence[str] | None = None) -> str:
    """Return the id of a run.

    Args:
        results: results folder.
        name: the id, or its beginning.
        known: ids among which it is searched; None for all runs of the folder.

    Raises:
        FgbenchError: no run, or several, have an id that begins so.
    """
    known = run_ids(results) if known is None else known
    found = [name] if name in known else [run_id for run_id in known if run_id.startswith(name)] if name else []
    if len(found) == 1:
        return found[0]
    if found:
        raise FgbenchError(f"{len(found)} runs begin with {name!r}: {', '.join(found[:3])}", "name more of the id")
    if not known:
        raise FgbenchError(f"{results} has no runs", next_command("reproduce", "cub", results=results))
    raise FgbenchError(
        f"no run {name!r} in {results}; {nearest(name, known)}", next_command("list", "runs", results=results)
    )

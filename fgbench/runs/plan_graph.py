"""The graph of a plan: runs that start from the network of another run come after it, and it is trained once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fgbench.records.store import store_of
from fgbench.runs.planning import Plan
from fgbench.runs.run import Run
from fgbench.runs.starting_network import find_network
from fgbench.util.errors import FgbenchError


def with_parents(plan: Plan, results: Path) -> Plan:
    """Return a plan in which each run comes after the run from whose network it starts.

    Runs that others start from are added if they were not requested and their network is not in the results folder.
    They keep their network. A finished run whose network is missing or damaged is executed again if a run needs it.

    Args:
        plan: the requested runs.
        results: results folder.
    """
    store = store_of(results)
    known = {run.id: run for run in plan.runs}
    needed: set[str] = set()
    executed = [run for run in plan.runs if not store.has(run.id)]
    while executed:
        run = executed.pop()
        if run.parent is None or run.parent.id in needed:
            continue
        requested = run.parent.id in known
        parent = known.setdefault(run.parent.id, run.parent)
        lost = bool(network_problem(results, parent))
        if requested or lost:
            needed.add(parent.id)
        if lost and (store.has(parent.id) or not requested):
            executed.append(parent)  # it is executed, too, and may need the network of its own parent
    ordered: dict[str, Run] = {}

    def add(run: Run) -> None:
        if run.id in ordered:
            return
        if run.parent and run.parent.id in needed:
            add(known[run.parent.id])
        ordered[run.id] = run

    for run in plan.runs:
        add(run)
    runs = [
        replace(run, keep_network=True, network_needed=True) if run.id in needed else run for run in ordered.values()
    ]
    return replace(plan, runs=tuple(runs))


def network_problem(results: Path, parent: Run) -> str:
    """Return why the network of a run cannot be used; empty if it can."""
    if not store_of(results).has(parent.id):
        return "it is not trained yet"
    try:
        find_network(results, parent)
    except FgbenchError as error:
        return str(error.args[0])
    return ""


def is_finished(results: Path, run: Run) -> bool:
    """Return True if a run has a record, and its network if another run needs it.

    Raises:
        FgbenchError: the record or its array file is damaged or was changed.
    """
    return store_of(results).has_sound(run.id) and not (run.network_needed and network_problem(results, run))


def users_of(runs: Sequence[Run], parent: Run) -> list[Run]:
    """Return the runs that start from the network of another run."""
    return [run for run in runs if run.parent and run.parent.id == parent.id]

"""What is printed about the runs from whose networks others start."""

from collections.abc import Iterator
from pathlib import Path

from fgbench.records.store import store_of
from fgbench.runs.plan_graph import network_problem, users_of
from fgbench.runs.planning import Plan


def lines_about_parents(plan: Plan, requested: Plan, results: Path) -> Iterator[str]:
    """Yield a line for each run that is executed for others, with those that share it, and a line if it is repeated.

    Args:
        plan: all runs, with those that others start from.
        requested: the runs that the user asked for.
        results: results folder.
    """
    ids, store = {run.id for run in requested.runs}, store_of(results)
    for run in plan.runs:
        lost = network_problem(results, run) if run.network_needed else ""
        if not lost:
            continue  # nothing starts from it, or its network is here from before
        users = [user.what for user in users_of(plan.runs, run) if not store.has(user.id)]
        kind = "trained once" if run.id in ids else "also needed"
        yield f"{kind}: {run.title}: {', '.join(users)} {'starts' if len(users) == 1 else 'start'} from its network"
        if store.has(run.id):
            yield f"trained again: {run.title}: {lost}"

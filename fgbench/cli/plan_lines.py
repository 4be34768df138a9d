"""What is printed about a plan before its runs start: data sets that are drawn first, and blocked recipes."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fgbench.cli.next_steps import next_command
from fgbench.datasets import find
from fgbench.records.kept_networks import kept_network, network_path
from fgbench.records.store import store_of
from fgbench.runs.planning import Plan
from fgbench.util.errors import Obstacle
from fgbench.util.files import cache_folder


def lines_about_drawing(names: Iterable[str]) -> Iterator[str]:
    """Yield a line for each synthetic data set that is not here yet, since its drawing takes a while."""
    for dataset in map(find, sorted(names)):
        folder = cache_folder() / "data" / dataset.folder
        if dataset.synthetic and not folder.is_dir():
            yield f"drawing {dataset.title} into {folder}: only this time"


def lines_about_blocked(blocked: Mapping[str, Obstacle]) -> Iterator[str]:
    """Yield a line for each thing that is missing, with all recipes that need it and the command that gets it."""
    for obstacle in dict.fromkeys(blocked.values()):
        keys = ", ".join(recipe for recipe, other in blocked.items() if other == obstacle)
        yield f"blocked: {keys}: {obstacle.reason}\n  {obstacle.command}"


def lines_about_networks(plan: Plan, results: Path) -> Iterator[str]:
    """Yield a line for each run that is finished without its network, which `--keep-network` does not train again.

    Args:
        plan: the runs. One whose network another run needs is trained again, and has no line.
        results: results folder.
    """
    store = store_of(results)
    for run in plan.runs:
        if run.network_needed or not store.has(run.id):
            continue
        sha256 = kept_network(store, run.id)
        if not sha256 or not network_path(results, sha256).exists():
            why = "its network is not here" if sha256 else "it kept no network"
            again = next_command("rm", run.id, results=results)
            yield f"network not kept: {run.title} was finished before, and {why}\n  {again}, then this command again"

"""Runs on the command line: chosen, planned and done."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench.cli.console import Progress, out, table
from fgbench.cli.data import is_here
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.util.errors import FgbenchError, nearest

if TYPE_CHECKING:
    from fgbench.runs.executors.runner import Result
    from fgbench.runs.planning import Plan

DEFAULT_SEEDS = {"quick": 1, "frozen": 1, "paper": 3}
"""For data sets with more splits than that, as many as there are splits."""
GROUPS = {"reid": ("market1501", "viper", "cuhk03")}
"""Names that stand for several data sets."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asked to be run."""

    data: str
    recipes: tuple[str, ...]
    """Empty for every recipe of the data set."""
    profile: str
    seeds: int | None
    jobs: int | None
    changes: Any = None
    """A `fgbench.runs.planning.Changes`, or None."""
    cluster: Any = None
    """A `fgbench.runs.executors.ray_cluster.Cluster` to do it on, or None for this machine."""


def choose_profile(profile: str, data: str, has_gpu: bool) -> str:
    """`auto` resolved: `paper` with a GPU and the real data (of a group, of one of them), else `quick`.

    Raises:
        FgbenchError: an unknown profile.
    """
    from fgbench.papers.recipes import PROFILES

    if profile != "auto":
        if profile not in PROFILES:
            raise FgbenchError(f"no profile named {profile!r}; {nearest(profile, [*PROFILES, 'auto'])}")
        return profile
    return "paper" if has_gpu and any(map(is_here, GROUPS.get(data, (data,)))) else "quick"


def choose_recipes(data: str, names: Sequence[str]) -> list[Recipe]:
    """Recipes of a data set by name, or all of them but variants.

    Raises:
        FgbenchError: an unknown recipe, or a data set without recipes.
    """
    recipes = {recipe.name: recipe for recipe in load_recipes().values() if recipe.settings.data == data}
    if not recipes:
        known = sorted({recipe.settings.data for recipe in load_recipes().values()})
        raise FgbenchError(
            f"no recipe for the data set {data!r}: no reproductions/*/{data}.toml, only for {', '.join(known)}",
            f"fgbench reproduce {known[0]}" if known else "",
        )
    for name in names:
        if name not in recipes:
            raise FgbenchError(f"no recipe {name!r} for {data}; {nearest(name, recipes)}", "fgbench list recipes")
    return [recipes[name] for name in names or recipes if names or not recipes[name].variant]


def choose_cluster(executor: str, jobs: int | None, **options: Any) -> Any:
    """A `fgbench.runs.executors.ray_cluster.Cluster` for the options of the command line, or None for this machine.

    Raises:
        FgbenchError: an unknown executor, or options that are for the other one.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if executor == "local":
        if given:
            raise FgbenchError(f"--{next(iter(given))} is for runs on a cluster", "--executor ray")
        return None
    if executor != "ray":
        raise FgbenchError(f"no executor named {executor!r}; {nearest(executor, ['local', 'ray'])}")
    if jobs:
        raise FgbenchError("--jobs is for this machine: a cluster does as many runs at a time as it has room for")
    from fgbench.runs.executors.ray_cluster import Cluster

    return Cluster(**given)


def run_recipes(request: Request, results: Path) -> int:
    """Run what was asked for and print how it came out; returns the exit code."""
    from fgbench.metrics.values import headline
    from fgbench.records.store import store_of
    from fgbench.runs.training.distributed import rank

    planned, result = (_run_on_cluster if request.cluster else _run_here)(request, results)
    if rank():
        return 1 if result.failures else 0  # the first of several processes tells how it came out
    store = store_of(results)
    rows = []
    for run in planned.runs:
        if store.has(run.id):
            record = store.read(run.id)
            name = headline(record.values)
            value = record.values[name]
            rows.append(
                {
                    "run": run.title,
                    "measured": name,
                    value.unit: f"{value.value:.1f}",
                    "95 %": "" if value.low is None else f"{value.low:.1f} to {value.high:.1f}",
                    "time, s": f"{record.cost.wall_s:.0f}",
                    "peak, MiB": f"{record.cost.peak_mib:.0f}",
                    "images/s": "–" if record.cost.test_fps is None else f"{record.cost.test_fps:.1f}",  # noqa: RUF001
                    "record": run.id,
                }
            )
    table("results", rows)
    out(
        f"{result.done} runs done, {result.kept} kept from before, {len(result.failures)} failed, "
        f"{len(planned.blocked)} recipes blocked"
    )
    for failure in result.failures:
        out(f"failed: {failure.name}: {failure.message}")
        if failure.detail:
            out(failure.detail)
    return 1 if result.failures or not planned.runs else 0


def _run_here(request: Request, results: Path) -> tuple["Plan", "Result"]:
    """Plan and do what was asked for on this machine."""
    import torch

    from fgbench.runs.executors.runner import run_plan
    from fgbench.runs.training.distributed import processes, rank

    has_gpu, cores = torch.cuda.is_available(), os.cpu_count() or 1
    profile = choose_profile(request.profile, request.data, has_gpu)
    jobs = request.jobs or (cores if profile == "quick" else 1)
    planned = _planned(request, profile, has_gpu, max(1, cores // (jobs * processes())))
    with Progress(quiet=bool(rank())) as progress:
        return planned, run_plan(planned, results, progress.watch(), jobs=jobs)


def _run_on_cluster(request: Request, results: Path) -> tuple["Plan", "Result"]:
    """Plan what was asked for here, and have it done on a cluster."""
    from fgbench.runs.executors.ray_cluster import connected

    with connected(request.cluster) as session:
        profile = choose_profile(request.profile, request.data, session.has_gpu)
        planned = _planned(request, profile, session.has_gpu, session.threads(profile))
        with Progress() as progress:
            return planned, session.run(planned, results, progress.watch())


def _planned(request: Request, profile: str, has_gpu: bool, threads: int) -> "Plan":
    """The runs of every data set that a request speaks of, with a line on each, and on each recipe that is blocked."""
    from fgbench.runs.planning import Changes, Plan, plan

    device = "cuda" if has_gpu and profile != "quick" else "cpu"
    members = GROUPS.get(request.data, (request.data,))
    # Under quick all of a group are the same synthetic data: once is enough.
    plans = []
    for data in members[:1] if profile == "quick" else members:
        recipes = choose_recipes(data, request.recipes)
        # A recipe without the profile is blocked by `plan`, and does not stop the others.
        resolved = [recipe.resolve(profile) for recipe in recipes if profile == "paper" or recipe.profiles.get(profile)]
        splits = max((settings.ranking.splits for settings in resolved if settings.ranking), default=1)
        seeds = range(request.seeds or max(splits, DEFAULT_SEEDS[profile]))
        out(f"profile {profile}: {len(recipes)} recipes for {data}, seeds {', '.join(map(str, seeds))}, on {device}")
        if profile == "quick":
            made = " and ".join(sorted({settings.data.replace("_", " ") for settings in resolved}))
            out(f"{made} and small networks: these numbers answer no printed one")
        plans.append(
            plan(recipes, profile, seeds, device=device, threads=threads, changes=request.changes or Changes())
        )
    blocked = {key: obstacle for each in plans for key, obstacle in each.blocked.items()}
    for key, obstacle in blocked.items():
        out(f"blocked: {key}: {obstacle.reason}\n  {obstacle.command}")
    return Plan(tuple(run for each in plans for run in each.runs), blocked)

"""Requests of `fgbench run` and `fgbench reproduce`: choice of recipes, planning, execution, printed results."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch

from fgbench.cli.console import Progress, out, table
from fgbench.cli.options import ExecutionOptions
from fgbench.datasets.obtain import is_here
from fgbench.metrics.values import headline
from fgbench.papers.recipes import PROFILES, Recipe, load_recipes
from fgbench.records.expectations import read_expected
from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.runs import planning
from fgbench.runs.executors import ray_cluster, runner
from fgbench.runs.executors.pool import Failure
from fgbench.runs.planning import NO_CHANGES, Plan
from fgbench.runs.run import THREADS, Changes, Run
from fgbench.runs.training.distributed import processes, rank
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.files import make_folder, write_text
from fgbench.util.hashing import hash_value

DEFAULT_SEEDS = {"quick": 1, "frozen": 1, "paper": 3}
"""Number of seeds of each profile; a data set with more splits gets one seed for each split."""
FAILURES = "failures"
"""Name of the folder of tracebacks in a results folder."""
GROUPS = {"reid": ("market1501", "viper", "cuhk03")}
"""Name of a group -> its data sets."""


@dataclass(frozen=True, slots=True)
class Request:
    """The runs that a user asked for."""

    data: str
    """Name of a data set or of a group."""
    recipes: tuple[str, ...]
    """Names of recipes; empty for every recipe of the data set."""
    profile: str
    """Name of a profile, or `auto`."""
    seeds: int | None
    """Number of seeds; None for the default."""
    jobs: int | None
    """Number of runs at the same time; None for the default."""
    changes: Changes = NO_CHANGES
    """Changes of the user to the settings of the profile."""
    cluster: ray_cluster.Cluster | None = None
    """Cluster that executes the runs; None for this machine."""
    qualities: tuple[int, ...] = ()
    """JPEG qualities: each recipe is also run on images that are compressed once more to each of them."""

    @classmethod
    def of(
        cls,
        data: str,
        execution: ExecutionOptions,
        recipes: tuple[str, ...] = (),
        changes: Changes = NO_CHANGES,
        qualities: tuple[int, ...] = (),
    ) -> Self:
        """Build a request from the options of the command line.

        Raises:
            FgbenchError: an unknown executor, or an option of the other executor.
        """
        cluster = choose_cluster(
            execution.executor,
            execution.jobs,
            address=execution.address,
            cpus=execution.cpus,
            gpus=execution.gpus,
            retries=execution.retries,
        )
        return cls(data, recipes, execution.profile, execution.seeds, execution.jobs, changes, cluster, qualities)


def choose_profile(profile: str, data: str, has_gpu: bool) -> str:
    """Resolve `auto`: `paper` with a GPU and the real data (of one data set of a group), else `quick`.

    Raises:
        FgbenchError: an unknown profile.
    """
    if profile != "auto":
        if profile not in PROFILES:
            raise FgbenchError(f"no profile named {profile!r}; {nearest(profile, [*PROFILES, 'auto'])}")
        return profile
    return "paper" if has_gpu and any(map(is_here, GROUPS.get(data, (data,)))) else "quick"


def choose_recipes(data: str, names: Sequence[str]) -> list[Recipe]:
    """Return the named recipes of a data set; without names, all recipes except variants.

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


def choose_cluster(executor: str, jobs: int | None, **options: Any) -> ray_cluster.Cluster | None:
    """Return the cluster that the options of the command line describe, or None for this machine.

    Raises:
        FgbenchError: an unknown executor, or an option of the other executor.
    """
    set_options = {name: value for name, value in options.items() if value is not None}
    if executor == "local":
        if set_options:
            raise FgbenchError(f"--{next(iter(set_options))} is for runs on a cluster", "--executor ray")
        return None
    if executor != "ray":
        raise FgbenchError(f"no executor named {executor!r}; {nearest(executor, ['local', 'ray'])}")
    if jobs:
        raise FgbenchError("--jobs is for this machine: a cluster runs as many recipes at a time as it has room for")
    return ray_cluster.Cluster(**set_options)


def run_recipes(request: Request, results: Path) -> int:
    """Execute a request and print the results.

    Returns:
        The exit code: 1 if a run failed or nothing could be run, else 0.
    """
    return run_plan_of(request, results)[1]


def run_plan_of(request: Request, results: Path) -> tuple[Plan, int]:
    """Execute a request and print the results; return the plan and the exit code of `run_recipes`."""
    make_folder(results)
    plan, result = (_run_on_cluster if request.cluster else _run_here)(request, results)
    if rank():
        return plan, 1 if result.failures else 0  # only the first of several processes prints
    store = store_of(results)
    table("results", [_result_row(run, store.read(run.id)) for run in plan.runs if store.has(run.id)])
    out(
        f"{counted(result.done, 'run')} done, {result.kept} kept from before, {len(result.failures)} failed, "
        f"{counted(len(plan.blocked), 'recipe')} blocked"
    )
    for failure in result.failures:
        out(f"failed: {failure.name}: {failure.message}")
        if failure.detail:
            out(f"  {_keep_traceback(failure, results / FAILURES)}")
    return plan, 1 if result.failures or not plan.runs else 0


def _keep_traceback(failure: Failure, folder: Path) -> str:
    """Write the traceback of a failed run into a file; return where it is, or the traceback if that is not possible."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", failure.name).strip("-")[:80]
    path = folder / f"{name}-{hash_value(failure.name)[:6]}.txt"
    try:
        write_text(path, f"{failure.name}: {failure.message}\n\n{failure.detail}")
    except FgbenchError:
        return failure.detail
    return f"the traceback is in {path}"


def _result_row(run: Run, record: Record) -> dict[str, str]:
    """Return the row of a finished run in the table of results."""
    name = headline(record.values)
    value, cost = record.values[name], record.cost
    return {
        "run": run.title,
        "measured": name,
        value.unit: f"{value.value:.2f}",
        "time, s": f"{cost.wall_s:.0f}",
        "peak, MiB": f"{cost.peak_mib:.0f}",
        "images/s": "–" if cost.test_fps is None else f"{cost.test_fps:.1f}",  # noqa: RUF001
        "record": run.id,
    }


def _run_here(request: Request, results: Path) -> tuple[Plan, runner.Result]:
    """Plan and execute a request on this machine."""
    has_gpu, cores = torch.cuda.is_available(), os.cpu_count() or 1
    profile = choose_profile(request.profile, request.data, has_gpu)
    device_jobs = 1 if has_gpu and profile != "quick" else max(1, cores // THREADS[profile])
    jobs = request.jobs or max(1, device_jobs // processes())
    plan = _with_expected(plan_request(request, profile, has_gpu), results)
    with Progress(quiet=bool(rank())) as progress:
        return plan, runner.run_plan(plan, results, progress.watch(), jobs=jobs)


def _run_on_cluster(request: Request, results: Path) -> tuple[Plan, runner.Result]:
    """Plan a request here and execute it on a Ray cluster."""
    assert request.cluster is not None
    with ray_cluster.connected(request.cluster) as session:
        profile = choose_profile(request.profile, request.data, session.has_gpu)
        plan = _with_expected(plan_request(request, profile, session.has_gpu), results)
        with Progress() as progress:
            return plan, session.run(plan, results, progress.watch())


def _with_expected(plan: Plan, results: Path) -> Plan:
    """Return a plan whose runs carry the costs that an earlier `--dry-run` estimated."""
    return replace(plan, runs=tuple(replace(run, expected=read_expected(results, run.id)) for run in plan.runs))


def plan_request(request: Request, profile: str, has_gpu: bool, say: Callable[[str], object] = out) -> Plan:
    """Plan the runs of every data set of a request.

    Args:
        request: the runs that the user asked for.
        profile: name of a profile, not `auto`.
        has_gpu: True if the runs use a GPU.
        say: prints a line for each data set and each blocked recipe.
    """
    device = "cuda" if has_gpu and profile != "quick" else "cpu"
    members = GROUPS.get(request.data, (request.data,))
    plans = []
    # Under quick, all data sets of a group are the same synthetic data: one is enough.
    for data in members[:1] if profile == "quick" else members:
        recipes = choose_recipes(data, request.recipes)
        # A recipe without the profile is blocked by `plan`; the other recipes still run.
        resolved = [recipe.resolve(profile) for recipe in recipes if profile == "paper" or recipe.profiles.get(profile)]
        splits = max((settings.ranking.splits for settings in resolved if settings.ranking), default=1)
        seeds = range(request.seeds or max(splits, DEFAULT_SEEDS[profile]))
        named_seeds = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        say(f"profile {profile}: {counted(len(recipes), 'recipe')} for {data}, {named_seeds}, on {device}")
        if profile == "quick":
            names = " and ".join(sorted({settings.data.replace("_", " ") for settings in resolved}))
            say(f"{names} and small networks: these numbers are not comparable with printed numbers")
        plans += [
            planning.plan(recipes, profile, seeds, device=device, changes=changes)
            for changes in (request.changes, *(replace(request.changes, recompress=q) for q in request.qualities))
        ]
    blocked = {recipe: obstacle for plan in plans for recipe, obstacle in plan.blocked.items()}
    for recipe, obstacle in blocked.items():
        say(f"blocked: {recipe}: {obstacle.reason}\n  {obstacle.command}")
    return Plan(tuple(run for plan in plans for run in plan.runs), blocked)

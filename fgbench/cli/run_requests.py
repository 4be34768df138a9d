"""Requests of `fgbench run` and `fgbench reproduce`: choice of recipes, planning, execution."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from fgbench.cli.chosen_cluster import choose_cluster
from fgbench.cli.chosen_device import checked_device, device_of
from fgbench.cli.chosen_precision import check_auto, with_precision
from fgbench.cli.chosen_recipes import choose_recipes
from fgbench.cli.console import out
from fgbench.cli.options import ExecutionOptions
from fgbench.cli.own_images import lines_about
from fgbench.cli.parent_lines import lines_about_parents
from fgbench.cli.plan_lines import lines_about_blocked, lines_about_drawing, lines_about_networks
from fgbench.cli.progress import Progress
from fgbench.cli.seed_numbers import parse_seeds
from fgbench.cli.time_limit import TimeLimit, ordered_by_verdicts
from fgbench.datasets import find
from fgbench.datasets.image_folder import PREFIX
from fgbench.datasets.obtain import is_here
from fgbench.papers.recipes import PROFILES, Recipe
from fgbench.records.expectations import read_expected
from fgbench.runs import planning
from fgbench.runs.executors import ray_cluster, runner
from fgbench.runs.plan_graph import with_parents
from fgbench.runs.planning import NO_CHANGES, Plan
from fgbench.runs.run import THREADS, Changes, Run
from fgbench.runs.training.distributed import processes, rank
from fgbench.runs.training.loggers import known_loggers
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.files import make_folder

DEFAULT_SEEDS = {"quick": 1, "frozen": 1, "paper": 3}
"""Number of seeds of each profile; a data set with more splits gets one seed for each split."""
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
    seeds: int | tuple[int, ...] | None
    """Number of seeds from 0 on, or the seeds; None for the default."""
    jobs: int | None
    """Number of runs at the same time; None for the default."""
    changes: Changes = NO_CHANGES
    """Changes of the user to the settings of the profile."""
    cluster: ray_cluster.Cluster | None = None
    """Cluster that executes the runs; None for this machine."""
    qualities: tuple[int, ...] = ()
    """JPEG qualities: each recipe is also run on images that are compressed once more to each of them."""
    limit: TimeLimit | None = None
    """Time in which the runs end."""
    device: str | None = None
    """`cpu` or `cuda`; None for a GPU if there is one."""
    keep_network: bool | None = None
    """Whether trained networks are kept; None for those that are trained under `paper`."""
    loggers: tuple[str, ...] = ()
    """Names of the loggers of trainings."""
    log_every: int = 50
    """Number of steps between two points of the loggers."""

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
            FgbenchError: an unknown executor, an option of the other executor, or a time limit for runs that cannot
                be stopped.
        """
        if data.startswith(PREFIX):
            data = find(data).name
            changes = replace(changes, data=data)
        limit = TimeLimit.starting_now(execution.within) if execution.within else None
        if limit and (execution.executor == "ray" or processes() > 1):
            raise FgbenchError(
                "--within is for runs on this machine that torchrun does not start", "leave out --within"
            )
        cluster = choose_cluster(
            execution.executor,
            execution.jobs,
            address=execution.address,
            cpus=execution.cpus,
            gpus=execution.gpus,
            retries=execution.retries,
        )
        if execution.log and cluster:
            raise FgbenchError("--log writes on this machine, not from the nodes of a cluster", "leave out --log")
        if execution.device and cluster:
            raise FgbenchError("--device is for this machine", "--gpus 0 for runs on CPUs")
        check_auto(changes.precision, is_here=not cluster)
        return cls(
            data=data,
            recipes=recipes,
            profile=execution.profile,
            seeds=parse_seeds(execution.seeds, execution.seed),
            jobs=execution.jobs,
            changes=changes,
            cluster=cluster,
            qualities=qualities,
            limit=limit,
            device=checked_device(execution.device),
            keep_network=execution.keep_network,
            loggers=known_loggers(execution.log or ()),
            log_every=execution.log_every,
        )

    @property
    def uses_gpu(self) -> bool:
        """True if runs of this machine use its GPU, except under `quick`."""
        return torch.cuda.is_available() and self.device != "cpu"


def choose_profile(profile: str, data: str, has_gpu: bool) -> str:
    """Resolve `auto`: `paper` with a GPU and the real data (of one data set of a group), else `quick`.

    Raises:
        FgbenchError: an unknown profile.
    """
    if profile != "auto":
        if profile not in PROFILES:
            raise FgbenchError(
                f"no profile named {profile!r}; {nearest(profile, [*PROFILES, 'auto'])}", "--profile quick"
            )
        return profile
    return "paper" if has_gpu and any(map(is_here, GROUPS.get(data, (data,)))) else "quick"


@dataclass(frozen=True, slots=True)
class Ended:
    """An executed request."""

    plan: Plan
    """The runs."""
    result: runner.Result
    """What came of them."""
    prints: bool = True
    """False in all processes of a run except the first, which prints the results."""

    @property
    def exit_code(self) -> int:
        """1 if a run failed or nothing could be run, else 0."""
        nothing = self.prints and not self.plan.runs
        return 1 if self.result.failures or nothing else 0


def run_recipes(request: Request, results: Path) -> Ended:
    """Plan and execute a request."""
    make_folder(results)
    plan, result = (_run_on_cluster if request.cluster else _run_here)(request, results)
    return Ended(plan, result, prints=not rank())


def _run_here(request: Request, results: Path) -> tuple[Plan, runner.Result]:
    """Plan and execute a request on this machine."""
    has_gpu, cores = request.uses_gpu, os.cpu_count() or 1
    request = settled(request, has_gpu)
    profile = request.profile
    device_jobs = 1 if device_of(profile, has_gpu=has_gpu) == "cuda" else max(1, cores // THREADS[profile])
    jobs = request.jobs or max(1, device_jobs // processes())
    plan = whole_plan(request, profile, has_gpu, results)
    if request.limit:
        plan = ordered_by_verdicts(plan, request.limit, results, profile=profile, has_gpu=has_gpu, jobs=jobs)
    else:
        plan = _with_expected(plan, results)
    deadline = request.limit.deadline if request.limit else math.inf
    with Progress(quiet=bool(rank())) as progress:
        return plan, runner.run_plan(plan, results, progress.watch(), jobs=jobs, deadline=deadline)


def plan_here(request: Request, results: Path, say: Callable[[str], object]) -> Plan:
    """Plan a request without a time limit for this machine, with estimated costs and networks to keep.

    Args:
        request: the runs that the user asked for.
        results: results folder.
        say: called with lines about the plan.
    """
    request = settled(request, request.uses_gpu, say)
    return _with_expected(whole_plan(request, request.profile, request.uses_gpu, results, say), results)


def _run_on_cluster(request: Request, results: Path) -> tuple[Plan, runner.Result]:
    """Plan a request here and execute it on a Ray cluster."""
    assert request.cluster is not None
    with ray_cluster.connected(request.cluster) as session:
        request = settled(request, session.has_gpu)
        plan = _with_expected(whole_plan(request, request.profile, session.has_gpu, results), results)
        with Progress() as progress:
            return plan, session.run(plan, results, progress.watch())


def settled(request: Request, has_gpu: bool, say: Callable[[str], object] = out) -> Request:
    """Return a request with the profile and the precision that `auto` stands for."""
    profile = choose_profile(request.profile, request.data, has_gpu)
    changes = request.changes
    if not request.cluster:
        changes = with_precision(changes, device_of(profile, has_gpu=has_gpu), THREADS[profile], say)
    return replace(request, profile=profile, changes=changes)


def whole_plan(
    request: Request, profile: str, has_gpu: bool, results: Path, say: Callable[[str], object] = out
) -> Plan:
    """Plan a request as `plan_request` does, with the runs that others start from, and say which networks are kept."""
    plan = plan_request(request, profile, has_gpu, say)
    whole = _with_choices(with_parents(plan, results), request)
    for line in lines_about_parents(whole, plan, results):
        say(line)
    if request.keep_network:
        for line in lines_about_networks(whole, results):
            say(line)
    return whole


def _with_expected(plan: Plan, results: Path) -> Plan:
    """Return a plan whose runs carry the costs that an earlier `--dry-run` estimated."""
    return replace(plan, runs=tuple(replace(run, expected=read_expected(results, run.id)) for run in plan.runs))


def _with_choices(plan: Plan, request: Request) -> Plan:
    """Return a plan whose runs have the chosen loggers and keep networks: by default those trained under `paper`."""

    def chosen(run: Run) -> Run:
        keep = request.keep_network
        if keep is None:
            keep = run.profile == "paper" and bool(run.settings.stages)
        keep |= run.network_needed
        return replace(run, keep_network=keep, loggers=request.loggers, log_every=request.log_every)

    return replace(plan, runs=tuple(map(chosen, plan.runs)))


def plan_request(request: Request, profile: str, has_gpu: bool, say: Callable[[str], object] = out) -> Plan:
    """Plan the runs of every data set of a request.

    Args:
        request: the runs that the user asked for.
        profile: name of a profile, not `auto`.
        has_gpu: True if the runs use a GPU.
        say: called with a line for each data set and each blocked recipe.
    """
    device = device_of(profile, has_gpu=has_gpu)
    members = GROUPS.get(request.data, (request.data,))
    plans = []
    # Under quick, all data sets of a group are the same synthetic data: one is enough.
    for data in members[:1] if profile == "quick" else members:
        recipes = choose_recipes(data, request.recipes)
        if profile != "paper":
            recipes = [recipe for recipe in recipes if not recipe.only_paper or recipe.name in request.recipes]
        # A recipe without the profile is blocked by `plan`; the other recipes still run.
        resolved = [recipe.resolve(profile) for recipe in recipes if profile == "paper" or recipe.profiles.get(profile)]
        splits = max((settings.ranking.splits for settings in resolved if settings.ranking), default=1)
        seeds = request.seeds
        if not isinstance(seeds, tuple):
            seeds = tuple(range(seeds or max(splits, DEFAULT_SEEDS[profile])))
        named_seeds = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        say(f"profile {profile}: {counted(len(recipes), 'recipe')} for {data}, {named_seeds}, on {device}")
        if profile == "quick":
            drawn = sorted({settings.data.replace("_", " ") for settings in resolved})
            if names := "own images" if request.changes.data else " and ".join(drawn):
                say(f"{names} and small networks: these numbers are not comparable with printed numbers")
            for line in lines_about_drawing(() if request.changes.data else {settings.data for settings in resolved}):
                say(line)
        plans += [
            planning.plan([recipe], profile, seeds, device=device, changes=_with_effect(changes, recipe, request))
            for changes in (request.changes, *(replace(request.changes, recompress=q) for q in request.qualities))
            for recipe in recipes
        ]
    runs = tuple(run for plan in plans for run in plan.runs)
    blocked = {recipe: obstacle for plan in plans for recipe, obstacle in plan.blocked.items()}
    for line in (*lines_about(runs), *lines_about_blocked(blocked)):
        say(line)
    return Plan(runs, blocked)


def _with_effect(changes: Changes, recipe: Recipe, request: Request) -> Changes:
    """Return the changes without the precision for a recipe without a network, unless the user named the recipe."""
    return changes if request.recipes or recipe.settings.backbones else replace(changes, precision=None)

"""`--dry-run` of `fgbench run`, `reproduce` and `sensitivity`: what would run, in order, and its estimated cost."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from fgbench.cli.chosen_precision import check_auto
from fgbench.cli.console import Answer, is_wide, out, table
from fgbench.cli.estimates import Rates, estimated
from fgbench.cli.run_requests import Request, settled, whole_plan
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.papers.settings import HALF
from fgbench.records.expectations import keep_expected
from fgbench.records.run_cost import Expected
from fgbench.records.store import store_of
from fgbench.runs.changed_settings import changed_settings
from fgbench.runs.plan_graph import is_finished, users_of
from fgbench.runs.run import Run
from fgbench.speed.planned_costs import expected_cost, official_cost
from fgbench.speed.verdict_order import decided_cells
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError, Obstacle

GIB = 1024
"""MiB in a GiB."""


def check_dry_run(request: Request, *, dry_run: bool, gpu: str | None) -> None:
    """Check that the options of a dry run are used with it.

    Raises:
        FgbenchError: `--gpu` without `--dry-run`, or a dry run for a cluster.
    """
    if not dry_run:
        if gpu is not None:
            raise FgbenchError("--gpu is for an estimate", "add --dry-run")
    elif request.cluster:
        raise FgbenchError("--dry-run estimates for one machine, not for a cluster", "leave out --executor ray")
    check_auto(request.changes.precision, is_here=gpu is None)


def give_dry_run(answer: Answer, request: Request, results: Path, *, gpu: str | None = None) -> None:
    """Plan a request, estimate the cost of every run, keep the estimates, and answer with them. Nothing is run.

    Args:
        answer: receives the estimates.
        request: the runs that the user asked for.
        results: results folder; the estimates are kept in it for the records of the runs.
        gpu: name of published rates for a GPU that is not here; None to measure this machine.
    """
    has_gpu = gpu is not None or request.uses_gpu
    request = settled(request, has_gpu)
    profile = request.profile
    plan = whole_plan(request, profile, has_gpu, results)
    bf16 = HALF in {request.changes.precision, *(run.settings.precision for run in plan.runs)}
    rates = Rates.of(profile, results, has_gpu=has_gpu, gpu=gpu, bf16=bf16)
    papers, store = load_papers().values(), store_of(results)
    rows: list[dict[str, Any]] = []
    for run in plan.runs:
        expected, note = estimated(partial(expected_cost, run, rates.device, rates.host))
        kept = is_finished(results, run)
        if expected and not kept:
            keep_expected(results, run.id, expected)
        users = [user.title for user in users_of(plan.runs, run) if not store.has(user.id)]
        rows.append(_row(run, expected, note, kept=kept, cells=decided_cells(run, papers)) | {"network_for": users})
    recipes = load_recipes()
    blocked = [
        _blocked_row(recipe, obstacle, request, profile, rates)
        for recipe, obstacle in _with_starts(
            {key: (recipes[key], obstacle) for key, obstacle in plan.blocked.items()}
        ).values()
    ]
    summary = {
        "profile": profile,
        "device": rates.device.name,
        "source": rates.device.source,
        "total_s": sum(row["expected"]["wall_s"] for row in rows if row["expected"] and row["state"] == "to run"),
        "runs": rows,
        "blocked": blocked,
    }
    answer.give(summary, lambda: _show(summary, rates, results))


def _with_starts(blocked: dict[str, tuple[Recipe, Obstacle]]) -> dict[str, tuple[Recipe, Obstacle]]:
    """Return blocked recipes by key, each after the recipe from whose network it starts, which is blocked with it."""
    ordered: dict[str, tuple[Recipe, Obstacle]] = {}
    for recipe, obstacle in blocked.values():
        chain = [recipe]
        while chain[-1].start:
            chain.append(chain[-1].start)
        for needed in reversed(chain):
            ordered.setdefault(needed.key, blocked.get(needed.key, (needed, obstacle)))
    return ordered


def _row(run: Run, expected: Expected | None, note: str, *, kept: bool, cells: int) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "title": run.title,
        "state": "kept from before" if kept else "to run",
        "cells": cells,
        "expected": _content(expected),
        "note": note,
    }


def _blocked_row(recipe: Recipe, obstacle: Obstacle, request: Request, profile: str, rates: Rates) -> dict[str, Any]:
    def compute() -> Expected | None:
        settings = recipe.own_settings(changed_settings(recipe, profile, request.changes), profile)
        return official_cost(recipe, settings, rates.device, rates.host)

    expected, note = estimated(compute)
    return {
        "recipe": recipe.key,
        "title": recipe.title,
        "reason": obstacle.reason,
        "command": obstacle.command,
        "expected": _content(expected),
        "note": note,
    }


def _content(expected: Expected | None) -> dict[str, Any] | None:
    return None if expected is None else {"wall_s": expected.wall_s, **expected.model_dump(mode="json")}


def _show(summary: dict[str, Any], rates: Rates, results: Path) -> None:
    """Print the estimates as tables, with a warning for each run that does not fit."""
    out(f"estimated for {rates.device.name}: {rates.device.source}")
    runs, blocked = summary["runs"], summary["blocked"]
    table("what would run, in this order", [_cost_row(row["title"], row, row["state"]) for row in runs])
    table("blocked: the cost of one seed on the official data", [_cost_row(row["title"], row) for row in blocked])
    for row in (*runs, *blocked):
        if row["note"]:
            out(f"not estimated: {row['title']}: {row['note']}")
        elif row["expected"]["device_mib"] and row["expected"]["device_mib"] * 2**20 > rates.device.memory_bytes:
            out(f"does not fit: {row['title']} needs more memory than {rates.device.name} has; lower its batch size")
    disk = max((row["expected"]["disk_mib"] for row in runs if row["expected"]), default=0.0)
    free = shutil.disk_usage(results).free / 2**20 if results.is_dir() else disk
    if disk > free:
        out(f"the disk of {results} has {free / GIB:.1f} GiB free; a run needs {disk / GIB:.1f} GiB")
    kept = sum(row["state"] != "to run" for row in runs)
    out(
        f"{counted(len(runs) - kept, 'run')} to do in about {summary['total_s'] / 60:.1f} min one after the other, "
        f"{kept} kept from before, {counted(len(blocked), 'recipe')} blocked"
    )


def _cost_row(title: str, row: dict[str, Any], state: str | None = None) -> dict[str, str]:
    """Return the row of a table."""
    cost = row["expected"]
    columns = {"run": title} | ({} if state is None else {"state": state})
    shown_parts = _PARTS if is_wide() else ()
    if cost is None:
        return columns | dict.fromkeys(("min", *(f"{part}, s" for part in shown_parts), *_SIZES), "?")
    parts = {f"{part}, s": f"{cost['part_s'].get(part, 0.0):.0f}" for part in shown_parts}
    sizes = {name: "none" if cost[field] is None else f"{cost[field] / GIB:.1f}" for name, field in _SIZES.items()}
    return columns | {"min": f"{cost['wall_s'] / 60:.1f}"} | parts | sizes


_PARTS = ("arithmetic", "launches", "feeding", "writing", "svm")
"""Parts of an estimate in the order of the table."""
_SIZES = {"disk, GiB": "disk_mib", "host, GiB": "host_mib", "GPU, GiB": "device_mib"}
"""Column -> field of an estimate."""

"""`--dry-run` of `fgbench run` and `fgbench reproduce`: what would run, in order, and its estimated cost."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fgbench.cli.console import out, print_json, table
from fgbench.cli.run_requests import Request, choose_profile, plan_request
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.records.expectations import keep_expected
from fgbench.records.record import Expected
from fgbench.records.store import store_of
from fgbench.runs.planning import changed_settings
from fgbench.runs.run import THREADS, Run
from fgbench.speed.machine_rates import ASSUMED_HOST, DeviceRates, HostRates, gpu_rates, measure_device, measure_host
from fgbench.speed.planned_costs import expected_cost, official_cost
from fgbench.speed.verdict_order import decided_cells
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError, Obstacle

GIB = 1024
"""MiB in a GiB."""


@dataclass(frozen=True, slots=True)
class _Rates:
    """Rates of the machine for which costs are estimated."""

    device: DeviceRates
    host: HostRates


def check_dry_run(request: Request, *, dry_run: bool, as_json: bool, gpu: str | None) -> None:
    """Check that the options of a dry run are used with it.

    Raises:
        FgbenchError: `--gpu` or `--json` without `--dry-run`, or a dry run for a cluster.
    """
    if not dry_run:
        for name, is_set in (("--json", as_json), ("--gpu", gpu is not None)):
            if is_set:
                raise FgbenchError(f"{name} is for an estimate", "add --dry-run")
    elif request.cluster:
        raise FgbenchError("--dry-run estimates for one machine, not for a cluster", "leave out --executor ray")


def show_dry_run(request: Request, results: Path, *, gpu: str | None = None, as_json: bool = False) -> None:
    """Plan a request, estimate the cost of every run, keep the estimates, and print them. Nothing is run.

    Args:
        request: the runs that the user asked for.
        results: results folder; the estimates are kept in it for the records of the runs.
        gpu: name of published rates for a GPU that is not here; None to measure this machine.
        as_json: print JSON.
    """
    has_gpu = gpu is not None or torch.cuda.is_available()
    profile = choose_profile(request.profile, request.data, has_gpu)
    plan = plan_request(request, profile, has_gpu, (lambda text: None) if as_json else out)
    rates = _rates(gpu, "cuda" if has_gpu and profile != "quick" else "cpu", THREADS[profile], results)
    papers, store = load_papers().values(), store_of(results)
    rows: list[dict[str, Any]] = []
    for run in plan.runs:
        expected, note = _estimated(lambda run=run: expected_cost(run, rates.device, rates.host))  # type: ignore[misc]
        kept = store.has(run.id)
        if expected and not kept:
            keep_expected(results, run.id, expected)
        rows.append(_row(run, expected, note, kept=kept, cells=decided_cells(run, papers)))
    recipes = load_recipes()
    blocked = [_blocked_row(recipes[key], obstacle, request, profile, rates) for key, obstacle in plan.blocked.items()]
    summary = {
        "profile": profile,
        "device": rates.device.name,
        "source": rates.device.source,
        "total_s": sum(row["expected"]["wall_s"] for row in rows if row["expected"] and row["state"] == "to run"),
        "runs": rows,
        "blocked": blocked,
    }
    if as_json:
        print_json(summary)
    else:
        _show(summary, rates, results)


def _rates(gpu: str | None, device: str, threads: int, results: Path) -> _Rates:
    if gpu is not None:
        return _Rates(gpu_rates(gpu), ASSUMED_HOST)
    return _Rates(measure_device(device, threads), measure_host(results))


def _estimated(compute: Callable[[], Expected | None]) -> tuple[Expected | None, str]:
    """Return an estimate, or why there is none."""
    try:
        expected = compute()
    except FgbenchError as error:
        return None, str(error.args[0])
    return expected, "" if expected else "the number of images is not known"


def _row(run: Run, expected: Expected | None, note: str, *, kept: bool, cells: int) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "title": run.title,
        "state": "kept from before" if kept else "to run",
        "cells": cells,
        "expected": _content(expected),
        "note": note,
    }


def _blocked_row(recipe: Recipe, obstacle: Obstacle, request: Request, profile: str, rates: _Rates) -> dict[str, Any]:
    def compute() -> Expected | None:
        settings = changed_settings(recipe, profile, request.changes)
        return official_cost(recipe, settings, rates.device, rates.host)

    expected, note = _estimated(compute)
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


def _show(summary: dict[str, Any], rates: _Rates, results: Path) -> None:
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
    if cost is None:
        return columns | dict.fromkeys(("min", *(f"{part}, s" for part in _PARTS), *_SIZES), "?")
    parts = {f"{part}, s": f"{cost['part_s'].get(part, 0.0):.0f}" for part in _PARTS}
    sizes = {name: "none" if cost[field] is None else f"{cost[field] / GIB:.1f}" for name, field in _SIZES.items()}
    return columns | {"min": f"{cost['wall_s'] / 60:.1f}"} | parts | sizes


_PARTS = ("arithmetic", "launches", "feeding", "writing", "svm")
"""Parts of an estimate in the order of the table."""
_SIZES = {"disk, GiB": "disk_mib", "host, GiB": "host_mib", "GPU, GiB": "device_mib"}
"""Column -> field of an estimate."""

"""Tables about one recipe, one printed cell, or one run."""

from pathlib import Path
from typing import Any

from fgbench.cli.found_runs import find_run, run_ids
from fgbench.cli.start_remarks import start_remarks
from fgbench.judge.frames import deviation_text, judge_store
from fgbench.judge.verdict import Verdict
from fgbench.metrics.values import Value
from fgbench.papers.printed import Cell, Paper, load_papers
from fgbench.papers.recipes import PROFILES, Recipe, flatten, load_recipes
from fgbench.records.deviations import measured_effect
from fgbench.records.kept_networks import network_path
from fgbench.records.record import Deviation, Point
from fgbench.records.run_log import log_path
from fgbench.records.store import store_of
from fgbench.speed.machine_rates import ASSUMED_HOST, gpu_rates
from fgbench.speed.planned_costs import official_cost
from fgbench.util.errors import FgbenchError, nearest

Tables = dict[str, list[dict[str, Any]]]
"""Title -> rows with the same keys."""


NOTHING: tuple[Any, ...] = ("", None, (), [])
"""Values that are not shown."""
DEFAULT_DATA = "cub"
"""Data set of `fgbench run` without `--data`."""


def shown(name: str, results: Path) -> Tables:
    """Return tables about a recipe, a cell or a run.

    Args:
        name: a recipe as `bcnn/bcnn_dd` or `bcnn/bcnn_dd@aircraft`, a cell as `bcnn/t1/bcnn_dd/birds`, or the id of a
            run or its beginning.
        results: results folder.

    Raises:
        FgbenchError: there is no such recipe, cell or run.
    """
    papers, recipes = load_papers(), load_recipes()
    cells = {f"{paper.id}/{cell.id}": cell for paper in papers.values() for cell in paper.cells()}
    found = [recipe for key, recipe in recipes.items() if name in {key, recipe.name}]
    if found:
        found.sort(key=lambda recipe: recipe.settings.data != DEFAULT_DATA)
        return _recipe(found[0], found, list(cells.values()))
    if name in cells:
        return _cell(name, cells[name], papers, results)
    ids = run_ids(results) if results.is_dir() else []
    if "/" not in name and ids:
        return _run(find_run(results, name, ids), results)
    names = [*dict.fromkeys(recipe.name for recipe in recipes.values()), *cells]
    clause = nearest(name, names)
    if not clause.startswith("did you mean"):
        clause = f"{results} has no runs" if results.is_dir() else f"there is no folder {results}"
    raise FgbenchError(f"no recipe, cell or run {name!r}; {clause}", "fgbench list recipes")


def _rows(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"what": name, "value": _word(value)} for name, value in values.items() if value not in NOTHING]


def _word(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _recipe(recipe: Recipe, same_name: list[Recipe], cells: list[Cell]) -> Tables:
    """Return what a recipe is, each value with its origin, and the cells that it answers."""
    data = recipe.settings.data
    option = "" if data == DEFAULT_DATA else f" --data {data}"
    users = [other.name for other in load_recipes().values() if other.start and other.start.key == recipe.key]
    cost = official_cost(recipe, recipe.own_settings(recipe.settings, "paper"), gpu_rates("h100"), ASSUMED_HOST)
    return {
        recipe.key: _rows(
            {
                "title": recipe.title,
                "method": recipe.method,
                "also on": ", ".join(other.settings.data for other in same_name if other is not recipe),
                "training sees": ", ".join(("labels", *recipe.train)),
                "testing sees": ", ".join(recipe.test),
                "profiles": ", ".join(name for name in PROFILES if name == "paper" or recipe.profiles.get(name)),
                "trained before": recipe.start and _shared(recipe, recipe.start),
                "network is used by": ", ".join(users),
                "command": f"fgbench run {recipe.name}{option} --profile paper",
                "one seed on an H100 at half of its peaks": cost and f"about {cost.wall_s / 3600:.2f} h, "
                f"{cost.disk_mib / 1024:.1f} GiB of disk, {(cost.device_mib or 0) / 1024:.1f} GiB of its memory",
            }
        ),
        "values": [
            {"setting": key, "value": _word(value), "origin": recipe.origins.get(key, "default")}
            for key, value in flatten(recipe.settings.model_dump(mode="json")).items()
            if value not in NOTHING
        ],
        "differences to the official code": [
            {"step": name.replace("_", " "), "code": step.code, "here": step.here}
            for name, step in recipe.differs.items()
        ],
        "printed cells": [
            {"cell": f"{cell.paper}/{cell.id}", "printed": f"{cell.value} {cell.unit}", "margin": cell.margin}
            for cell in cells
            if (cell.recipe, cell.data) == (recipe.name, data)
        ],
    }  # fmt: skip


def _shared(recipe: Recipe, start: Recipe) -> str:
    """Return which stages another recipe trains."""
    own = recipe.own_settings(recipe.settings, "paper").stages
    shared = [name for name in recipe.settings.stages if name not in own]
    stages = f"stage {shared[0]}" if len(shared) == 1 else f"stages {' and '.join(shared)}"
    return f"{stages} by {start.name}, once for both"


def _cell(name: str, cell: Cell, papers: dict[str, Paper], results: Path) -> Tables:
    """Return a printed number with its source and margin, and its verdict from the records of a results folder."""
    derived = f", derived by {cell.margin_from}" if cell.margin_from else ""
    tables = {
        name: _rows(
            {
                "printed": f"{cell.value} {cell.unit}",
                "source": cell.source,
                "row and column": f"table {cell.table}, {cell.row}, {cell.column}",
                "metric": " ".join([cell.metric, *(f"{key} {value}" for key, value in cell.params)]),
                "data": cell.data,
                "recipe": cell.recipe,
                "cites": cell.cites,
                "margin": f"{cell.margin} {cell.unit}{derived}",
                "note": cell.note,
            }
        )
    }  # fmt: skip
    store = store_of(results)
    verdicts = judge_store(papers, store)[cell.paper]
    verdict = next(verdict for verdict in verdicts if verdict.cell.id == cell.id)
    tables[f"verdict from {results}"] = _verdict(verdict)
    return tables | {f"verdict on {result.records[0].title}": _verdict(result) for result in verdict.external}


def _verdict(verdict: Verdict) -> list[dict[str, Any]]:
    return _rows(
        {
            "outcome": str(verdict.outcome),
            "reason": verdict.reason,
            "measured": None if verdict.mean is None else f"{verdict.mean:.2f} {verdict.cell.unit}",
            "runs": ", ".join(record.run_id for record in verdict.records),
            "measured in": verdict.frames and verdict.frames.source and str(verdict.frames.source),
            "next": verdict.command,
        }
    )


def _run(run_id: str, results: Path) -> Tables:
    """Return settings, deviations, values, curve, cost and files of a run; of an unfinished one, where its log is."""
    store = store_of(results)
    log = log_path(results, run_id)
    if not store.has(run_id):
        return {run_id: _rows({"state": "not finished", "log": str(log) if log.is_file() else ""})}
    record = store.read(run_id)
    network = network_path(results, record.network_sha256) if record.network_sha256 else None
    external = record.external
    return {
        run_id: _rows(
            {
                "title": record.title,
                "recipe": record.recipe,
                "profile and seed": f"{record.profile}, seed {record.seed}",
                "external": external and f"{external.what} of {external.file}, SHA-256 {external.sha256}",
                "started from": record.starts_from and str(record.starts_from),
                "remark on its start": "; ".join(start_remarks(record, results)),
                "not checked": external and external.unchecked,
                "finished": record.provenance.get("finished"),
                "command": record.provenance.get("command"),
                "machine": f"{record.provenance.get('device')}, {record.provenance.get('cpu')}",
                "time": f"{record.cost.wall_s:.0f} s" if record.computed_here else "",
                "peak memory": f"{record.cost.peak_mib:.0f} MiB" if record.computed_here else "",
                "network": network and (str(network) if network.is_file() else f"{network}, which is not here"),
                "log": str(log) if log.is_file() else "",
            }
        ),
        "values": [_value(name, value) for name, value in record.values.items()],
        "deviations": [{"deviation": _deviation(deviation)} for deviation in record.deviations],
        "learning curve": [_point(point) for point in record.curve],
        "settings": _rows(flatten(record.settings)),
    }


def _deviation(deviation: Deviation) -> str:
    """Return a deviation as one line, with its measured effect if it changes only the rounding."""
    effect = measured_effect(deviation)
    return deviation_text(deviation) + (f" ({effect})" if effect else "")


def _value(name: str, value: Value) -> dict[str, Any]:
    return {"value": name, "measured": f"{value.value:.2f}", "unit": value.unit, "images": value.n}


def _point(point: Point) -> dict[str, Any]:
    return {
        "stage": point.stage,
        "epoch": point.epoch,
        "loss": f"{point.loss:.4f}",
        "training accuracy, %": f"{point.accuracy:.2f}",
        "time, s": f"{point.wall_s:.1f}",
    }

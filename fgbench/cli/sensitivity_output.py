"""Runs and output of `fgbench sensitivity`: effects of each quality, bound, and the verdicts that it belongs to."""

from collections.abc import Sequence
from pathlib import Path

from fgbench.cli.console import out, table
from fgbench.cli.run_requests import Request, run_plan_of
from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.anomaly import Anomalies
from fgbench.judge.citations import own_cells
from fgbench.judge.compression_effects import Measurement, measure
from fgbench.judge.margin_test import points
from fgbench.judge.sensitivity import (
    HIGHEST_LOW,
    MIN_QUALITIES,
    Bounds,
    assumption,
    bound_for,
    find_bounds,
    missing_for_bound,
)
from fgbench.judge.verdict import cell_value_name, judge, recipe_key
from fgbench.metrics.values import headline
from fgbench.papers.printed import Cell, load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.runs.planning import obstacles
from fgbench.runs.training.distributed import rank
from fgbench.util.errors import FgbenchError

HIGHEST = 95
"""Highest JPEG quality of a further compression."""


def parse_qualities(text: str) -> tuple[int, ...]:
    """Return the qualities of the option `--recompress`, highest first.

    Raises:
        FgbenchError: a quality is not a whole number from 1 to 95, or a bound needs other qualities.
    """
    words = [word.strip() for word in text.split(",")]
    hint = "--recompress 75,50,30"
    if wrong := [word for word in words if not (word.isascii() and word.isdigit() and 1 <= int(word) <= HIGHEST)]:
        raise FgbenchError(f"{wrong[0]!r} is not a JPEG quality from 1 to {HIGHEST}", hint)
    qualities = sorted(map(int, words), reverse=True)
    if repeated := [quality for quality in qualities if qualities.count(quality) > 1]:
        raise FgbenchError(f"the quality {repeated[0]} is there twice", hint)
    if len(qualities) < MIN_QUALITIES:
        raise FgbenchError(f"a bound needs at least {MIN_QUALITIES} qualities, to show the trend", hint)
    if qualities[-1] > HIGHEST_LOW:
        raise FgbenchError(
            f"a bound needs a quality of at most {HIGHEST_LOW}: a weak compression after another one changes little",
            hint,
        )
    return tuple(qualities)


def run_and_show(request: Request, results: Path) -> int:
    """Run a recipe plain and at every quality, and print effects, bound and verdicts.

    Returns:
        The exit code: 1 if a run failed, nothing was measured, or a record is damaged or was changed, else 0.
    """
    plan, code = run_plan_of(request, results)
    if rank():
        return code  # only the first of several processes prints
    planned, recipes = {run.id for run in plan.runs}, {run.recipe.key for run in plan.runs}
    store = store_of(results)
    usable, left_out = store.usable_records()
    for text in left_out:
        out(f"left out: {text}")
    records = [record for record in usable if record.recipe in recipes]
    measured = [measurement for measurement in measure(records, store.outputs) if measurement.first.run_id in planned]
    if not measured:
        out("nothing was measured: no plain run has a finished recompressed run with the same seed")
        return 1
    cells = _cells(measured[0].first)
    names = {headline(measured[0].first.values), *map(cell_value_name, cells)}
    bounds = find_bounds(records, store.outputs)
    for measurement in measured:
        if measurement.value in names:
            _show(measurement, bounds)
    _show_verdicts(cells, records, bounds, find_anomalies(records, store.outputs), planned)
    return 1 if left_out else code


def _cells(record: Record) -> list[Cell]:
    """Return the printed cells that the recipe of a record measures with the annotations of its protocol."""
    sees, papers = (record.protocol["train_sees"], record.protocol["test_sees"]), load_papers()
    return [
        cell
        for paper in papers.values()
        for cell in own_cells(paper, papers)
        if recipe_key(cell) == record.recipe and cell.role != "context" and (list(cell.train), list(cell.test)) == sees
    ]


def _show(measurement: Measurement, bounds: Bounds) -> None:
    """Print the effects, the trend and the bound of one value."""
    plain, unit = {"images": "as they are", measurement.unit: f"{measurement.plain:.2f}"}, points(measurement.unit)
    rows = [{**plain, "effect": "", "interval": "", "lower": "", "higher": "", "runs": str(len(measurement.plain_ids))}]
    rows += [
        {
            "images": f"quality {effect.quality}",
            measurement.unit: f"{effect.measured:.2f}",
            "effect": f"{effect.value:+.2f}",
            "interval": f"{effect.interval.low:+.2f} to {effect.interval.high:+.2f}",
            "lower": f"{effect.lower:,}",
            "higher": f"{effect.higher:,}",
            "runs": str(len(effect.run_ids)),
        }
        for effect in measurement.effects
    ]
    table(f"{measurement.value} of {measurement.first.title} ({measurement.first.profile})", rows)
    out("effect: mean over seeds, minus that of the plain runs; the 95 % intervals hold together for all qualities")
    out("lower, higher: test images with a lower or higher value than in the plain runs")
    if measurement.trend:
        out(f"trend: {measurement.trend}")
    bound = bound_for([measurement.first], measurement.value, bounds)
    if missing := missing_for_bound(measurement):
        out(f"no bound: {missing}")
    elif bound:
        out(f"bound: {bound.bound:.2f} {unit}. {assumption(measurement.effects)}")


def _show_verdicts(
    cells: Sequence[Cell], records: Sequence[Record], bounds: Bounds, anomalies: Anomalies, planned: set[str]
) -> None:
    """Print the verdict on each printed cell of the recipe, with the bound.

    Args:
        cells: the cells.
        records: all records of the recipe.
        bounds: result of `find_bounds`.
        anomalies: result of `find_anomalies`.
        planned: ids of the runs of the measurement.
    """
    recipes = load_recipes()
    blocked = obstacles([recipes[key] for key in {recipe_key(cell) for cell in cells}])
    for cell in cells:
        verdict = judge(cell, records, blocked, recipes, anomalies, bounds)
        others = verdict.records and not any(record.run_id in planned for record in verdict.records)
        note = "; the verdict is on other runs than the measured ones" if others else ""
        out(f"{cell.row}, {cell.column}, printed {cell.value:g} {cell.unit}: {verdict.outcome}: {verdict.reason}{note}")

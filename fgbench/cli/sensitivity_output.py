"""Runs and output of `fgbench sensitivity`: effects of each quality, bound, and the verdicts that it belongs to."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fgbench.cli.console import Answer, out, print_lines, table
from fgbench.cli.run_requests import Request, run_recipes
from fgbench.cli.run_results import give_next, give_results
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
from fgbench.judge.verdict import MEASURED, cell_value_name, judge, recipe_key
from fgbench.metrics.values import headline
from fgbench.papers.printed import Cell, load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.runs.planning import obstacles
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


def run_and_measure(request: Request, results: Path, answer: Answer) -> int:
    """Run a recipe plain and at every quality, and answer with effects, bound and verdicts.

    Returns:
        The exit code: 1 if a run failed, nothing was measured, or a record is damaged or was changed, else 0.
    """
    ended = run_recipes(request, results)
    if not ended.prints:
        return ended.exit_code
    plan = ended.plan
    give_results(answer, plan, ended.result, results)
    planned, recipes = {run.id for run in plan.runs}, {run.recipe.key for run in plan.runs}
    store = store_of(results)
    usable, left_out = store.usable_records()
    answer.give({"left_out": left_out}, lambda: print_lines(f"left out: {text}" for text in left_out))
    records = [record for record in usable if record.recipe in recipes]
    measured = [measurement for measurement in measure(records, store.outputs) if measurement.first.run_id in planned]
    if not measured:
        reason = "no plain run has a finished recompressed run with the same seed"
        answer.give({"measured": []}, lambda: out(f"nothing was measured: {reason}"))
        return 1
    cells = _cells(measured[0].first)
    names = {headline(measured[0].first.values), *map(cell_value_name, cells)}
    bounds = find_bounds(records, store.outputs)
    effects = [_facts(measurement, bounds) for measurement in measured if measurement.value in names]
    answer.give({"measured": effects}, partial(_show_all, effects))
    anomalies = find_anomalies(usable, store.outputs, store.unusable_ids(usable))
    verdicts = _verdicts(cells, records, bounds, anomalies, planned)
    answer.give({"verdicts": verdicts}, partial(_show_verdicts, verdicts))
    give_next(answer, plan, ended.result, results)
    return 1 if left_out else ended.exit_code


def _cells(record: Record) -> list[Cell]:
    """Return the printed cells that the recipe of a record measures with the annotations of its protocol."""
    if record.own_images:
        return []
    sees, papers = (record.protocol["train_sees"], record.protocol["test_sees"]), load_papers()
    return [
        cell
        for paper in papers.values()
        for cell in own_cells(paper, papers)
        if (recipe_key(cell), list(cell.train), list(cell.test)) == (record.recipe, *sees)
        and cell.role != "context"
        and cell.metric in MEASURED
    ]


def _facts(measurement: Measurement, bounds: Bounds) -> dict[str, Any]:
    """Return the effects, the trend and the bound of one value as plain values."""
    missing = missing_for_bound(measurement)
    bound = None if missing else bound_for([measurement.first], measurement.value, bounds)
    return {
        "value": measurement.value,
        "title": measurement.first.title,
        "profile": measurement.first.profile,
        "unit": measurement.unit,
        "plain": measurement.plain,
        "plain_runs": list(measurement.plain_ids),
        "effects": [
            {
                "quality": effect.quality,
                "measured": effect.measured,
                "effect": effect.value,
                "low": effect.interval.low,
                "high": effect.interval.high,
                "lower": effect.lower,
                "higher": effect.higher,
                "runs": list(effect.run_ids),
            }
            for effect in measurement.effects
        ],
        "trend": measurement.trend,
        "bound": bound and bound.bound,
        "assumption": assumption(measurement.effects) if bound else "",
        "no_bound": missing,
    }


def _show_all(effects: Sequence[dict[str, Any]]) -> None:
    for facts in effects:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    """Print the effects, the trend and the bound of one value."""
    unit = facts["unit"]
    plain = {"images": "as they are", unit: f"{facts['plain']:.2f}"}
    rows = [{**plain, "effect": "", "interval": "", "lower": "", "higher": "", "runs": str(len(facts["plain_runs"]))}]
    rows += [
        {
            "images": f"quality {effect['quality']}",
            unit: f"{effect['measured']:.2f}",
            "effect": f"{effect['effect']:+.2f}",
            "interval": f"{effect['low']:+.2f} to {effect['high']:+.2f}",
            "lower": f"{effect['lower']:,}",
            "higher": f"{effect['higher']:,}",
            "runs": str(len(effect["runs"])),
        }
        for effect in facts["effects"]
    ]
    table(f"{facts['value']} of {facts['title']} ({facts['profile']})", rows)
    out("effect: mean over seeds, minus that of the plain runs; the 95 % intervals hold together for all qualities")
    out("lower, higher: test images with a lower or higher value than in the plain runs")
    if facts["trend"]:
        out(f"trend: {facts['trend']}")
    if facts["no_bound"]:
        out(f"no bound: {facts['no_bound']}")
    elif facts["bound"] is not None:
        out(f"bound: {facts['bound']:.2f} {points(unit)}. {facts['assumption']}")


def _verdicts(
    cells: Sequence[Cell], records: Sequence[Record], bounds: Bounds, anomalies: Anomalies, planned: set[str]
) -> list[dict[str, Any]]:
    """Return the verdict on each printed cell of the recipe, with the bound, as plain values.

    Args:
        cells: the cells.
        records: all records of the recipe.
        bounds: result of `find_bounds`.
        anomalies: result of `find_anomalies`.
        planned: ids of the runs of the measurement.
    """
    recipes = load_recipes()
    blocked = obstacles([recipes[key] for key in {recipe_key(cell) for cell in cells}])
    rows = []
    for cell in cells:
        verdict = judge(cell, records, blocked, recipes, anomalies, bounds)
        others = verdict.records and not any(record.run_id in planned for record in verdict.records)
        rows.append(
            {
                "cell": f"{cell.paper}/{cell.id}",
                "row": cell.row,
                "column": cell.column,
                "printed": cell.value,
                "unit": cell.unit,
                "verdict": str(verdict.outcome),
                "reason": verdict.reason,
                "on_other_runs": bool(others),
            }
        )
    return rows


def _show_verdicts(rows: Sequence[dict[str, Any]]) -> None:
    """Print verdicts."""
    for row in rows:
        note = "; the verdict is on other runs than the measured ones" if row["on_other_runs"] else ""
        printed = f"printed {row['printed']:g} {row['unit']}"
        out(f"{row['row']}, {row['column']}, {printed}: {row['verdict']}: {row['reason']}{note}")

"""Table of differences between neighbouring runs on the same test images."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.anomaly import Anomalies, ReadOutputs
from fgbench.judge.frames import typed_frame
from fgbench.judge.run_choice import run_sort_key
from fgbench.judge.run_pairs import RunPair, compare_runs
from fgbench.metrics.values import headline
from fgbench.papers.recipes import Recipe
from fgbench.records.recompression import quality_of
from fgbench.records.record import Record, by_identity
from fgbench.report.formatting import NONE
from fgbench.report.tables.run_table import run_name
from fgbench.report.tables.sheet import Footnotes, Sheet, SheetCell
from fgbench.statistics import MIN_SEEDS, holm
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value

DIFFERENCES = {
    "better": "string", "worse": "string", "metric": "string", "difference": "float64", "low": "float64",
    "high": "float64", "p": "float64", "samples": "Int64", "test": "string", "better_runs": "string",
    "worse_runs": "string",
}  # fmt: skip
"""Columns of `difference_frame` and their types.

`difference`, `low` and `high` are in percent; `test` names the test, or the reason why there is none, or no difference.
"""
SELECTION = (
    "The runs are ordered by the same images, so a difference tends to be too large. Only neighbours are compared."
)
NO_NUMBERS = {**dict.fromkeys(("difference", "low", "high", "p"), math.nan), "samples": None}


def difference_frame(records: Sequence[Record], outputs: ReadOutputs, recipes: Mapping[str, Recipe]) -> pd.DataFrame:
    """Return the difference between each run and the next best run with the same protocol and main value.

    A run is a group of records that differ only in their seed. Runs on a network that the recipe does not name are
    compared among themselves, one network at a time. Control experiments, runs on images that were compressed once
    more, and results from outside fgbench are left out. A run that was repeated with other code or libraries counts
    once: the one with the most seeds, then the latest.

    `p` is the p-value of no difference, adjusted by Holm's method for all rows and, where a run uses random numbers,
    for a look after every seed. The 95 % interval is that of each row alone. Runs with too few seeds have a difference,
    but no interval and no p-value. Images are treated as a sample of more images, as in a claim. The order of the runs
    comes from the same images: neighbours are closer than arbitrary pairs, so `p` is not too small, but the difference
    tends to be too large.

    Args:
        records: records of any recipes.
        outputs: returns the per-sample arrays of a record.
        recipes: recipes by key; they name the networks.
    """
    columns: dict[tuple[str, str, frozenset[str]], list[list[Record]]] = {}
    runs = _runs(records)
    names = _names(runs)
    for group in runs:
        first = group[0]
        columns.setdefault((first.protocol_hash, headline(first.values), _other_networks(first, recipes)), []).append(
            group
        )
    pairs = [
        (metric, better, worse)
        for (_, metric, _), groups in columns.items()
        for better, worse in pairwise(sorted(groups, key=lambda group: -_mean(group, metric)))
    ]
    anomalies = find_anomalies(records, outputs)
    comparisons = [_compared(metric, better, worse, outputs, anomalies) for metric, better, worse in pairs]
    adjusted = iter(holm([pair.p for pair in comparisons if isinstance(pair, RunPair) and not pair.too_few]))
    rows = [
        {
            "better": names[better[0].run_id], "worse": names[worse[0].run_id], "metric": metric,
            "better_runs": _ids(better), "worse_runs": _ids(worse),
            **({**NO_NUMBERS, "test": pair} if isinstance(pair, str) else _numbers(pair, adjusted)),
        }
        for (metric, better, worse), pair in zip(pairs, comparisons, strict=True)
    ]  # fmt: skip
    return typed_frame(rows, DIFFERENCES)


def _runs(records: Sequence[Record]) -> list[list[Record]]:
    """Return the compared runs, each with all its seeds."""
    kept: dict[str, list[Record]] = {}
    for group in by_identity([r for r in records if not (r.control or r.external) and quality_of(r) is None]):
        first = group[0]
        weights = [entry.model_dump() for entry in first.weights]
        key = hash_value([first.recipe, first.profile, first.protocol_hash, first.settings, weights])
        kept[key] = max(kept.get(key, group), group, key=run_sort_key)
    return list(kept.values())


def _other_networks(record: Record, recipes: Mapping[str, Recipe]) -> frozenset[str]:
    """The networks of a run if its recipe names none of them under the profile; else an empty set."""
    try:
        named = recipes[record.recipe].resolve(record.profile).backbones
    except (KeyError, FgbenchError):  # the recipe or the profile no longer exists
        return frozenset()
    of_recipe, of_run = (
        frozenset(stream.partition(":")[0] for stream in streams)
        for streams in (named, record.settings.get("backbones", ()))
    )
    return frozenset() if of_run & of_recipe else of_run


def _compared(
    metric: str, better: Sequence[Record], worse: Sequence[Record], outputs: ReadOutputs, anomalies: Anomalies
) -> RunPair | str:
    """The comparison of two runs, or the reason why there is none."""
    for record in (*better, *worse):
        if invalid := [anomaly.text for anomaly in anomalies.get(record.run_id, ()) if anomaly.invalidates_run]:
            return f"the run {record.run_id} cannot be right: {invalid[0]}"
    try:
        return compare_runs(better, worse, metric, outputs)
    except FgbenchError as error:
        return str(error.args[0])


def _numbers(pair: RunPair, adjusted: Iterator[float]) -> dict[str, object]:
    """The numbers of a comparison; too few seeds give a difference without interval and p-value.

    Args:
        pair: the comparison.
        adjusted: adjusted p-values of the comparisons with enough seeds; the next one is taken for such a pair.
    """
    d = pair.difference
    if pair.too_few:
        needs = f"a test needs at least {MIN_SEEDS} seeds of {' and '.join(dict.fromkeys(pair.too_few))}"
        return {**NO_NUMBERS, "difference": d.value, "samples": d.n, "test": needs}
    low, high = d.interval
    return {"difference": d.value, "low": low, "high": high, "p": next(adjusted), "samples": d.n, "test": str(d.test)}


def _mean(group: Sequence[Record], metric: str) -> float:
    return sum(record.values[metric].value for record in group) / len(group)


def _names(runs: Sequence[Sequence[Record]]) -> dict[str, str]:
    """Unique names by id of the first record; equal names get that id as a suffix."""
    words = {
        group[0].run_id: run_name(
            {"title": group[0].title, "profile": group[0].profile, "control": "none", "seeds": len(group)}
        )
        for group in runs
    }
    count = Counter(words.values())
    return {run: name if count[name] == 1 else f"{name} ({run})" for run, name in words.items()}


def _ids(group: Sequence[Record]) -> str:
    return ", ".join(record.run_id for record in group)


def difference_sheet(frame: pd.DataFrame) -> Sheet:
    """Return `difference_frame` as a sheet with the test of each row as a footnote."""
    notes = Footnotes()

    def cells(row: Mapping[Any, Any]) -> tuple[SheetCell, ...]:
        names = SheetCell(row["better"]), SheetCell(row["worse"])
        if pd.isna(row["difference"]):
            return *names, SheetCell(row["test"]), SheetCell(NONE), SheetCell(NONE)
        value, note = SheetCell(f"{row['difference']:+.2f}"), notes.add(row["test"])
        if pd.isna(row["p"]):
            return *names, value, SheetCell(NONE), SheetCell(NONE, note=note)
        return (
            *names,
            value,
            SheetCell(f"{row['low']:.2f} to {row['high']:.2f}"),
            SheetCell(f"{row['p']:.2g}", note=note),
        )

    rows = tuple(cells(row) for row in frame.to_dict("records"))

    return Sheet(
        name="differences",
        caption="Each run minus the next best run on the same test images, in points; p adjusted for rows and looks.",
        heads=("Run", "minus", "difference", "95 %", "p"),
        rows=rows,
        numbers=(False, False, True, True, True),
        remarks=(SELECTION,) if rows else (),
        notes=notes.entries(),
    )

"""Which runs are ahead of which: each beside the next, image by image, on the same test images."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from fgbench.judge.anomalies import ReadOutputs
from fgbench.judge.claims import RunPair, compare_runs
from fgbench.judge.frames import typed_frame
from fgbench.metrics.values import headline
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Record, by_identity
from fgbench.report.formatting import NONE
from fgbench.report.tables.run_table import run_name
from fgbench.report.tables.sheet import Entry, Notes, Sheet
from fgbench.statistics import holm
from fgbench.util.errors import FgbenchError

DIFFERENCES = {
    "better": "string", "worse": "string", "metric": "string", "difference": "float64", "low": "float64",
    "high": "float64", "p": "float64", "samples": "Int64", "test": "string", "better_runs": "string",
    "worse_runs": "string",
}  # fmt: skip
"""Columns of `difference_frame` and their types.

`difference`, `low` and `high` are in percent; `test` says which it was, or why there was none.
"""
ORDERED = "The order is that of the same images, so a difference tends to be too large; only neighbours are compared."
NOTHING = {**dict.fromkeys(("difference", "low", "high", "p"), math.nan), "samples": None}


def difference_frame(records: Sequence[Record], outputs: ReadOutputs, recipes: Mapping[str, Recipe]) -> pd.DataFrame:
    """Each group of records that differ in their seed alone, less the next best with the same protocol and main value.

    Runs on networks that the recipe does not name are compared among themselves: one network at a time.
    `p` is of no difference, adjusted by Holm for all rows; the interval is one of 95 %, of each row alone. Images count
    as drawn from more of their kind, as in a claim. Who is next is told by the same images: neighbours lie nearer to
    each other than any two, so that `p` is not too small for it, but the better one has had luck more often than not,
    and the difference tends to be too large. Controls are left out.

    Args:
        records: of any recipes.
        outputs: gives their per-sample arrays.
        recipes: by key, to know which networks they name.
    """
    columns: dict[tuple[str, str, frozenset[str]], list[list[Record]]] = {}
    runs = by_identity([record for record in records if not record.control])
    names = _names(runs)
    for group in runs:
        first = group[0]
        columns.setdefault((first.protocol_hash, headline(first.values), _others(first, recipes)), []).append(group)
    pairs = [
        (metric, better, worse)
        for (_, metric, _), groups in columns.items()
        for better, worse in pairwise(sorted(groups, key=lambda group: -_mean(group, metric)))
    ]
    found = [_compared(metric, better, worse, outputs) for metric, better, worse in pairs]
    adjusted = iter(holm([each.p for each in found if isinstance(each, RunPair)]))
    rows = [
        {
            "better": names[better[0].run_id], "worse": names[worse[0].run_id], "metric": metric,
            "better_runs": _ids(better), "worse_runs": _ids(worse),
            **({**NOTHING, "test": each} if isinstance(each, str) else _numbers(each, next(adjusted))),
        }
        for (metric, better, worse), each in zip(pairs, found, strict=True)
    ]  # fmt: skip
    return typed_frame(rows, DIFFERENCES)


def _others(record: Record, recipes: Mapping[str, Recipe]) -> frozenset[str]:
    """The networks of a run where none of them is one that its recipe has under that profile; else none."""
    try:
        named = recipes[record.recipe].resolve(record.profile).backbones
    except (KeyError, FgbenchError):  # a recipe or a profile that is no more
        return frozenset()
    own, run = (
        frozenset(stream.partition(":")[0] for stream in streams)
        for streams in (named, record.settings.get("backbones", ()))
    )
    return frozenset() if run & own else run


def _compared(metric: str, better: Sequence[Record], worse: Sequence[Record], outputs: ReadOutputs) -> RunPair | str:
    """The comparison of two groups, or why there is none."""
    try:
        return compare_runs(better, worse, metric, outputs)
    except FgbenchError as error:
        return str(error.args[0])


def _numbers(pair: RunPair, p: float) -> dict[str, object]:
    found = pair.difference
    low, high = found.interval
    return {"difference": found.value, "low": low, "high": high, "p": p, "samples": found.n, "test": str(found.test)}


def _mean(group: Sequence[Record], metric: str) -> float:
    return sum(record.values[metric].value for record in group) / len(group)


def _names(runs: Sequence[Sequence[Record]]) -> dict[str, str]:
    """Names by the id of the first record, no two the same: where the words do not tell them apart, with that id."""
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
    """`difference_frame` to be read, the test of each row as a footnote."""
    notes = Notes()

    def entries(row: Mapping[Any, Any]) -> tuple[Entry, ...]:
        names = Entry(row["better"]), Entry(row["worse"])
        if pd.isna(row["p"]):
            return *names, Entry(row["test"]), Entry(NONE), Entry(NONE)
        value, ends = f"{row['difference']:+.2f}", f"{row['low']:.2f} to {row['high']:.2f}"
        return *names, Entry(value), Entry(ends), Entry(f"{row['p']:.2g}", note=notes(row["test"]))

    rows = tuple(entries(row) for row in frame.to_dict("records"))

    return Sheet(
        name="differences",
        caption="Each run less the next best on the same test images, in points; p adjusted for all rows.",
        heads=("Run", "less", "difference", "95 %", "p"),
        rows=rows,
        numbers=(False, False, True, True, True),
        remarks=(ORDERED,) if rows else (),
        notes=notes.all,
    )

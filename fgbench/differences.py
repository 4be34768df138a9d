"""Which runs are ahead of which: each beside the next, image by image, on the same test images."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from fgbench.analysis import table_of
from fgbench.anomalies import Outputs
from fgbench.claims import Pair, compare
from fgbench.errors import FgbenchError
from fgbench.measures import headline
from fgbench.recipes import Recipe
from fgbench.records import Record, by_identity
from fgbench.report.model import NONE
from fgbench.run_table import run_name
from fgbench.sheets import Entry, Sheet
from fgbench.statistics import holm

DIFFERENCES = {
    "better": "string", "worse": "string", "metric": "string", "difference": "float64", "low": "float64",
    "high": "float64", "p": "float64", "samples": "Int64", "test": "string", "better_runs": "string",
    "worse_runs": "string",
}  # fmt: skip
"""Columns of `difference_frame` and their types.

`difference`, `low` and `high` are in percent; `test` says which it was, or why there was none.
"""
NOTHING = {**dict.fromkeys(("difference", "low", "high", "p"), math.nan), "samples": None}


def difference_frame(records: Sequence[Record], outputs: Outputs, recipes: Mapping[str, Recipe]) -> pd.DataFrame:
    """Each group of records that differ in their seed alone, less the next best with the same protocol and main value.

    `p` is of no difference, adjusted by Holm for all rows; the interval is one of 95 %, of each row alone. Images count
    as drawn from more of their kind, as in a claim. Controls are left out.

    Args:
        records: of any recipes.
        outputs: gives their per-sample arrays.
        recipes: by key, to know which have no spread over seeds.
    """
    columns: dict[tuple[str, str], list[list[Record]]] = {}
    for group in by_identity([record for record in records if not record.control]):
        columns.setdefault((group[0].protocol_hash, headline(group[0].values)), []).append(group)
    pairs = [
        (metric, better, worse)
        for (_, metric), groups in columns.items()
        for better, worse in pairwise(sorted(groups, key=lambda group: -_mean(group, metric)))
    ]
    found = [_compared(metric, better, worse, outputs, recipes) for metric, better, worse in pairs]
    adjusted = iter(holm([each.p for each in found if isinstance(each, Pair)]))
    rows = [
        {
            "better": _name(better), "worse": _name(worse), "metric": metric,
            "better_runs": _ids(better), "worse_runs": _ids(worse),
            **({**NOTHING, "test": each} if isinstance(each, str) else _numbers(each, next(adjusted))),
        }
        for (metric, better, worse), each in zip(pairs, found, strict=True)
    ]  # fmt: skip
    return table_of(rows, DIFFERENCES)


def _compared(
    metric: str, better: Sequence[Record], worse: Sequence[Record], outputs: Outputs, recipes: Mapping[str, Recipe]
) -> Pair | str:
    """The comparison of two groups, or why there is none."""
    fixed = [group[0].recipe in recipes and recipes[group[0].recipe].deterministic for group in (better, worse)]
    try:
        return compare(better, worse, metric, outputs, fixed)
    except FgbenchError as error:
        return str(error.args[0])


def _numbers(pair: Pair, p: float) -> dict[str, object]:
    found = pair.difference
    low, high = found.interval
    return {"difference": found.value, "low": low, "high": high, "p": p, "samples": found.n, "test": str(found.test)}


def _mean(group: Sequence[Record], metric: str) -> float:
    return sum(record.values[metric].value for record in group) / len(group)


def _name(group: Sequence[Record]) -> str:
    first = group[0]
    return run_name({"title": first.title, "profile": first.profile, "control": "none", "seeds": len(group)})


def _ids(group: Sequence[Record]) -> str:
    return ", ".join(record.run_id for record in group)


def difference_sheet(frame: pd.DataFrame) -> Sheet:
    """`difference_frame` to be read."""

    def entries(row: Mapping[Any, Any]) -> tuple[str, ...]:
        if pd.isna(row["p"]):
            return row["better"], row["worse"], row["test"], NONE, NONE
        value, ends = f"{row['difference']:+.2f}", f"{row['low']:.2f} to {row['high']:.2f}"
        return row["better"], row["worse"], value, ends, f"{row['p']:.2g}"

    return Sheet(
        name="differences",
        caption="Each run less the next best on the same test images, in points; p adjusted for all rows.",
        heads=("Run", "less", "difference", "95 %", "p"),
        rows=tuple(tuple(map(Entry, entries(row))) for row in frame.to_dict("records")),
        numbers=(False, False, True, True, True),
    )

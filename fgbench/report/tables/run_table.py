"""Table of runs, one line for all seeds of a run: measured value, printed value, verdict, deviations, cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fgbench.judge.frames import deviations_text, split_deviations, typed_frame
from fgbench.judge.seed_interval import SeedInterval, seed_interval
from fgbench.judge.table_columns import START
from fgbench.judge.verdict import Verdict, cell_value_name, split_means
from fgbench.metrics.values import headline
from fgbench.records.phases import phases_of
from fgbench.records.record import Record, by_identity
from fgbench.report.formatting import NONE, all_deviations, interval_text, measured
from fgbench.report.formatting import printed as as_printed
from fgbench.report.tables.sheet import Footnotes, Sheet, SheetCell
from fgbench.statistics import Interval

RUNS = {
    "recipe": "string", "title": "string", "profile": "string", "data": "string", "control": "string",
    "synthetic": "bool", "metric": "string", "unit": "string", "seeds": "int64", "measured": "float64",
    "low": "float64", "high": "float64", "interval": "string", "printed": "string", "verdict": "string",
    "deviations": "string", "wall_s": "float64", "peak_mib": "float64", "recalled": "int64",
    "device": "string", "device_peak_mib": "float64", "expected_s": "float64", "runs": "string",
    **START,
}  # fmt: skip
"""Columns of `run_frame` and their types.

`wall_s` is the mean over seeds, `peak_mib` and `device_peak_mib` are the maximum. `expected_s` is the time that was
estimated before the first seed. Time and memory are NaN for predictions from outside, whose profile is `external`. The
columns `START` have the run of each seed from whose network it started, separated by commas as in `runs`.
"""
HEADS = ("Run", "measured", "95 % over seeds", "printed", "verdict", "time, s", "peak, MiB")
OPTIONAL = {"expected_s": "estimated, s", "device_peak_mib": "GPU peak, MiB"}
"""Column -> head, for columns of `run_sheet` that it has only if a run has a value."""


def run_frame(records: Sequence[Record], verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Return the main value of each group of records that differ only in their seed, one row per group.

    `low` and `high` are the 95 % interval of the mean over seeds. The column `interval` says over how many, or why
    there is no interval.

    Args:
        records: records of any recipes.
        verdicts: verdicts on the cells of the papers, based on these records.
    """
    return typed_frame([_row(group, verdicts) for group in by_identity(records)], RUNS)


def _row(group: Sequence[Record], verdicts: Sequence[Verdict]) -> dict[str, object]:
    first, metric = group[0], headline(group[0].values)
    ids, shown = {record.run_id for record in group}, seed_interval(group, metric)
    cells = [v for v in verdicts if cell_value_name(v.cell) == metric and ids & {record.run_id for record in v.records}]
    return {
        **{name: getattr(first, name) for name in ("recipe", "title", "profile", "data", "synthetic")},
        "control": first.protocol.get("control", "none"),
        "metric": metric,
        "unit": first.values[metric].unit,
        "seeds": len(group),
        "measured": float(np.mean(split_means(group, metric))),
        "low": shown.ends and shown.ends.low,
        "high": shown.ends and shown.ends.high,
        "interval": shown.about,
        "printed": ", ".join(dict.fromkeys(as_printed(verdict.cell) for verdict in cells)),
        "verdict": ", ".join(dict.fromkeys(verdict.outcome for verdict in cells)),
        "deviations": deviations_text(all_deviations(group)),
        "wall_s": sum(record.cost.wall_s for record in group) / len(group) if first.computed_here else None,
        "peak_mib": max(record.cost.peak_mib for record in group) if first.computed_here else None,
        "recalled": max(record.cost.recalled for record in group),
        "device": str(first.provenance.get("device") or ""),
        "device_peak_mib": max((r.cost.device_peak_mib for r in group if r.cost.device_peak_mib), default=None),
        "expected_s": phases_of(group)[-1].expected_s,
        "runs": ", ".join(record.run_id for record in group),
        **_starts(group),
    }


def _starts(group: Sequence[Record]) -> dict[str, str]:
    """Return from which recipe, runs and networks a group started; empty if from none."""
    starts = [record.starts_from for record in group if record.starts_from]
    return {
        "starts_from": ", ".join(dict.fromkeys(start.recipe for start in starts)),
        "starts_from_run": ", ".join(start.run_id for start in starts),
        "starts_from_network": ", ".join(start.network_sha256 for start in starts),
    }


def row_interval_text(row: Mapping[Any, Any]) -> str:
    """Return the text of the interval of a row, from its `low`, `high` and `interval`."""
    ends = None if pd.isna(row["low"]) else Interval(row["low"], row["high"])
    return interval_text(SeedInterval(ends, row["interval"]))


def run_name(row: Mapping[Any, Any]) -> str:
    """Return the name of a run in words, from its `title`, `profile`, `control` and number of `seeds`."""
    name = [row["title"], row["profile"]]
    name += [row["control"]] * (row["control"] != "none") + [f"{row['seeds']} seeds"] * (row["seeds"] > 1)
    return ", ".join(name)


def run_sheet(frame: pd.DataFrame) -> Sheet:
    """Return `run_frame` as a sheet with deviations as footnotes."""
    notes = Footnotes()
    extra = [name for name in OPTIONAL if frame[name].notna().any()]
    heads = (*HEADS, *(OPTIONAL[name] for name in extra))

    def cells(row: Mapping[Any, Any]) -> tuple[SheetCell, ...]:
        remarks = split_deviations(row["deviations"])
        if row["recalled"]:
            count = f"{row['recalled']:,} maps"
            remarks.append(f"the time does not include the network: {count} were read from the cache of an earlier run")
        return (
            SheetCell(run_name(row), note=notes.add(*remarks)),
            SheetCell(f"{measured(row['measured'])} {row['unit']}"),
            SheetCell(row_interval_text(row)),
            SheetCell(row["printed"] or NONE),
            SheetCell(row["verdict"]),
            SheetCell(NONE if pd.isna(row["wall_s"]) else f"{'≥ ' * bool(row['recalled'])}{row['wall_s']:,.0f}"),
            SheetCell(NONE if pd.isna(row["peak_mib"]) else f"{row['peak_mib']:,.0f}"),
            *(SheetCell(NONE if pd.isna(row[name]) else f"{row[name]:,.0f}") for name in extra),
        )

    data = ", ".join(dict.fromkeys(frame["data"]))
    rows = tuple(cells(row) for row in frame.to_dict("records"))
    return Sheet(
        name="runs",
        caption=f"Runs on {data}: measured main value and printed value.",
        heads=heads,
        rows=rows,
        numbers=tuple(head not in {"Run", "verdict"} for head in heads),
        notes=notes.entries(),
    )

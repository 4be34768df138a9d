"""A line a run and its further seeds: what each of its phases took, in time and memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fgbench.judge.frames import typed_frame
from fgbench.records.phases import WHOLE, phases_of
from fgbench.records.record import Record, by_identity
from fgbench.report.tables.run_table import run_name
from fgbench.report.tables.sheet import Entry, Sheet

PHASES = {
    "recipe": "string", "title": "string", "profile": "string", "data": "string", "control": "string",
    "seeds": "int64", "phase": "string", "wall_s": "float64", "peak_mib": "float64", "runs": "string",
}  # fmt: skip
"""Columns of `phase_frame` and their types. `wall_s` is the mean and `peak_mib` the most over seeds."""


def phase_frame(records: Sequence[Record]) -> pd.DataFrame:
    """One row a phase of each group of records that differ in their seed alone, and one of the whole run.

    `peak_mib` is NaN where the system could not tell it for each phase.
    """
    return typed_frame([row for group in by_identity(records) for row in _rows(group)], PHASES)


def _rows(group: Sequence[Record]) -> list[dict[str, object]]:
    first = group[0]
    about = {name: getattr(first, name) for name in ("recipe", "title", "profile", "data")} | {
        "control": first.protocol.get("control", "none"),
        "seeds": len(group),
        "runs": ", ".join(record.run_id for record in group),
    }
    return [about | {"phase": p.name, "wall_s": p.wall_s, "peak_mib": p.peak_mib} for p in phases_of(group)]


def phase_sheet(frame: pd.DataFrame) -> Sheet:
    """`phase_frame` to be read: a line a run, a column a phase."""
    names = [name for name in dict.fromkeys(frame["phase"]) if name != WHOLE] + [WHOLE]
    lines: dict[str, dict[str, str]] = {}
    for row in frame.to_dict("records"):
        lines.setdefault(row["runs"], {"": run_name(row)})[row["phase"]] = _told(row)
    return Sheet(
        name="phases",
        caption="What each phase of a run took: seconds, and the most MiB of memory.",
        heads=("Run", *names),
        rows=tuple(tuple(Entry(line.get(name, "")) for name in ("", *names)) for line in lines.values()),
        numbers=(False, *[True] * len(names)),
    )


def _told(row: Mapping[Any, Any]) -> str:
    peak = "" if pd.isna(row["peak_mib"]) else f", {row['peak_mib']:,.0f} MiB"
    return f"{row['wall_s']:,.0f} s{peak}"

"""Table of phases, one line for all seeds of a run: time and memory of each phase."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fgbench.judge.frames import typed_frame
from fgbench.records.phases import WHOLE, phases_of
from fgbench.records.record import Record, by_identity
from fgbench.report.tables.run_table import run_name
from fgbench.report.tables.sheet import Sheet, SheetCell

PHASES = {
    "recipe": "string", "title": "string", "profile": "string", "data": "string", "control": "string",
    "seeds": "int64", "phase": "string", "wall_s": "float64", "peak_mib": "float64",
    "expected_s": "float64", "runs": "string",
}  # fmt: skip
"""Columns of `phase_frame` and their types.

`wall_s` is the mean over seeds, `peak_mib` the maximum. `expected_s` is the time that was estimated before the run.
"""


def phase_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row for each phase of each group of records that differ only in their seed, and one for the whole run.

    `peak_mib` is NaN if the system could not measure it by phase. Predictions from outside have no known cost.
    """
    measured = [record for record in records if record.computed_here]
    return typed_frame([row for group in by_identity(measured) for row in _rows(group)], PHASES)


def _rows(group: Sequence[Record]) -> list[dict[str, object]]:
    first = group[0]
    common = {name: getattr(first, name) for name in ("recipe", "title", "profile", "data")} | {
        "control": first.protocol.get("control", "none"),
        "seeds": len(group),
        "runs": ", ".join(record.run_id for record in group),
    }
    return [
        common | {"phase": p.name, "wall_s": p.wall_s, "peak_mib": p.peak_mib, "expected_s": p.expected_s}
        for p in phases_of(group)
    ]


def phase_sheet(frame: pd.DataFrame) -> Sheet:
    """Return `phase_frame` as a sheet: one line per run, one column per phase."""
    names = [name for name in dict.fromkeys(frame["phase"]) if name != WHOLE] + [WHOLE]
    lines: dict[str, dict[str, str]] = {}
    for row in frame.to_dict("records"):
        lines.setdefault(row["runs"], {"": run_name(row)})[row["phase"]] = _time_and_memory(row)
    return Sheet(
        name="phases",
        caption="Time and maximum memory of each phase of a run.",
        heads=("Run", *names),
        rows=tuple(tuple(SheetCell(line.get(name, "")) for name in ("", *names)) for line in lines.values()),
        numbers=(False, *[True] * len(names)),
    )


def _time_and_memory(row: Mapping[Any, Any]) -> str:
    peak = "" if pd.isna(row["peak_mib"]) else f", {row['peak_mib']:,.0f} MiB"
    expected = "" if pd.isna(row["expected_s"]) else f" (estimated {row['expected_s']:,.0f} s)"
    return f"{row['wall_s']:,.0f} s{peak}{expected}"

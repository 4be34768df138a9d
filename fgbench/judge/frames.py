"""Records, verdicts and cells as pandas tables at full precision: `fgbench.load`, `verdicts`, `cells`, `outputs`.

A table has the same columns and types with and without rows. A missing value is NaN in a column of floats and `<NA>` in
the other columns.
"""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fgbench.judge.table_columns import CELLS, COST, GPU, PROVENANCE, RUN, START, TIME, TRUST, VALUE, VALUES, VERDICTS
from fgbench.papers.printed import Cell, Paper, load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.gpu_fields import gpu_fields, head_features_text
from fgbench.records.record import Deviation, Record
from fgbench.records.store import Store, store_of
from fgbench.speed.bench_files import frames_of, read_speed
from fgbench.speed.speed_source import SPEED_COLUMNS
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.memory import garbage_collector_off

_TYPES: dict[str, type] = {"string": str, "boolean": bool, "Int64": int, TIME: str}


def load(path: str | os.PathLike[str], *, strict: bool = True) -> pd.DataFrame:
    """Return every value of every record, one row each, in the order of recipe, profile, data and seed.

    Args:
        path: a folder of records, or a results folder that contains one, such as `runs`.
        strict: False to skip records that are damaged or were changed, each with a warning.

    Raises:
        FgbenchError: there is no such folder, or `strict` is true and a record is damaged or was changed.
    """
    records = open_store(path).records(broken=None if strict else _warn)
    # One row for each run, repeated for each of its values.
    run_columns = {name: kind for name, kind in VALUES.items() if name not in VALUE}
    runs = typed_frame([_run_row(record) for record in records], run_columns)
    rows = np.repeat(np.arange(len(records)), [len(record.values) for record in records])
    values = [value for record in records for value in record.values.values()]
    columns = {"metric": [name for record in records for name in record.values]}
    columns |= {name: [getattr(value, name) for value in values] for name in VALUE if name != "metric"}
    value_columns = {name: pd.Series(column, dtype=VALUE[name]) for name, column in columns.items()}
    return runs.take(rows).reset_index(drop=True).assign(**value_columns)[list(VALUES)]


def outputs(path: str | os.PathLike[str], run_id: str) -> dict[str, np.ndarray]:
    """Return the per-sample arrays of one record by name: `ids`, `labels`, `scores` and other outputs of its method.

    Args:
        path: as for `load`.
        run_id: of the record; see the column `run_id` of `load`.

    Raises:
        FgbenchError: there is no such record, or it or its file of arrays is missing, damaged or was changed.
    """
    store = open_store(path)
    if not store.has(run_id):
        raise FgbenchError(f"no record {run_id} in {store.folder}; {nearest(run_id, store.run_ids())}")
    return store.outputs(store.read(run_id))


def cells() -> pd.DataFrame:
    """Return all printed numbers of the papers, one row each."""
    return typed_frame([_cell_row(cell) for paper in load_papers().values() for cell in paper.cells()], CELLS)


def verdicts(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return all printed numbers with the measured means over seeds and the verdicts, one row each.

    Results from outside fgbench follow their cell as further rows, in which the column `external` is not empty.

    Args:
        path: as for `load`.

    Raises:
        FgbenchError: as for `load`.
    """
    return verdict_frame(
        [verdict for of_paper in judge_store(load_papers(), open_store(path)).values() for verdict in of_paper]
    )


def judge_store(papers: Mapping[str, Paper], store: Store) -> dict[str, list[Any]]:
    """Return the verdicts (`fgbench.judge.verdict.Verdict`) on all cells from the records of a store, by paper."""
    from fgbench.judge.anomalies import find_anomalies
    from fgbench.judge.columns import judge_papers
    from fgbench.judge.frame_verdicts import with_frames
    from fgbench.judge.sensitivity import find_bounds
    from fgbench.runs.planning import obstacles

    recipes = load_recipes()
    with garbage_collector_off():  # thousands of records are many objects to look through
        records = store.records()
        with store.remembering() as recall:
            anomalies = find_anomalies(records, store.outputs, recall=recall)
        bounds, blocked = find_bounds(records, store.outputs), obstacles(list(recipes.values()))
        verdicts = judge_papers(papers, records, blocked, recipes, anomalies, bounds)
    sessions, damaged = read_speed(store.folder.parent)
    for text in damaged:
        warnings.warn(f"skipped: {text}", stacklevel=3)
    return with_frames(verdicts, frames_of(sessions))


def open_store(path: str | os.PathLike[str]) -> Store:
    """Return the store of a folder of records or of a results folder.

    Raises:
        FgbenchError: there is no such folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FgbenchError(f"there is no folder {folder}", "name a folder of results, such as runs")
    return store_of(folder)


def verdict_frame(verdicts: Sequence[Any]) -> pd.DataFrame:
    """Return verdicts, each followed by those on results from outside, as a table with the columns `VERDICTS`."""
    from fgbench.judge.external_verdicts import with_external

    return typed_frame([_verdict_row(verdict) for verdict in with_external(verdicts)], VERDICTS)


def deviation_text(deviation: Deviation) -> str:
    """Return a deviation as one line: `field: value in the recipe -> value in the run`."""
    field = deviation.field
    return f"{field}: {setting_text(deviation.recipe, field)} -> {setting_text(deviation.run, field)}"


def deviations_text(deviations: Sequence[Deviation]) -> str:
    """Return deviations as one line for a cell of a table."""
    return "; ".join(map(deviation_text, deviations))


def split_deviations(text: str) -> list[str]:
    """Return the deviations of a line made by `deviations_text`; none for an empty line."""
    return re.split(r"; (?=[\w.]+: )", text) if text else []


def setting_text(value: object, field: str) -> str:
    """Return a setting as text: a list without brackets; an empty list is `any` for `weights`, else `none`."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or ("any" if field == "weights" else "none")
    return "none" if value is None else str(value)


def _warn(error: FgbenchError) -> None:
    warnings.warn(f"skipped: {error}", stacklevel=4)


def typed_frame(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as a table with these columns and types."""
    return pd.DataFrame({name: _column([row[name] for row in rows], kind) for name, kind in types.items()})


def _column(values: list[Any], kind: str) -> "pd.Series[Any]":
    if kind == TIME:
        times = pd.Series(values, dtype="string")
        return pd.to_datetime(times, format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
    return pd.Series(values, dtype=kind)


def _run_row(record: Record) -> dict[str, Any]:
    # A record of another version of fgbench may lack a field of its provenance, or have another type in it.
    provenance = {name: record.provenance.get(name) for name in PROVENANCE}
    packages = record.provenance.get("packages") or {}
    gpu, expected = gpu_fields(record), record.cost.expected
    return {
        **{name: getattr(record, name) for name in (*RUN, *TRUST) if name not in {"paper", "control", "deviations"}},
        "external": record.external.what if record.external else "",
        "external_file": record.external.file if record.external else "",
        "external_sha256": record.external.sha256 if record.external else "",
        **_start_row(record),
        **{name: getattr(record.cost, name) for name in COST},
        **{name: value if isinstance(value, _TYPES[PROVENANCE[name]]) else None for name, value in provenance.items()},
        **{name: getattr(gpu, name, None) for name in GPU},
        "head_features": head_features_text(record) or None,
        "expected_s": expected and expected.wall_s,
        "expected_for": expected and expected.device,
        "paper": record.recipe_paper,
        "control": record.protocol.get("control", "none"),
        "deviations": deviations_text(record.deviations),
        "packages": "; ".join(f"{name} {version}" for name, version in packages.items()),
        "weights": "; ".join(f"{weights.stream}: {weights.name} {weights.sha256}" for weights in record.weights),
    }


def _start_row(record: Record) -> dict[str, str]:
    start = record.starts_from
    return dict(zip(START, (start.recipe, start.run_id, start.network_sha256) if start else ("", "", ""), strict=True))


def _cell_row(cell: Cell) -> dict[str, Any]:
    same = ("paper", "version", "table", "row", "column", "role", "data", "metric", "unit")
    return {
        **{name: getattr(cell, name) for name in (*same, "margin", "margin_from", "recipe", "cites", "source", "note")},
        "cell": cell.id,
        "printed": cell.value,
        "params": ", ".join(f"{name} = {value}" for name, value in cell.params),
        "train": ", ".join(cell.train),
        "test": ", ".join(cell.test),
    }


def _verdict_row(verdict: Any) -> dict[str, Any]:
    def ends(name: str, interval: Any) -> dict[str, Any]:
        return {f"{name}_{end}": interval and getattr(interval, end) for end in ("low", "high")}

    from fgbench.judge.seed_interval import seed_interval
    from fgbench.judge.verdict import cell_value_name

    first = verdict.records[0] if verdict.records else None
    has_mean, source = verdict.mean is not None, verdict.frames and verdict.frames.source
    shown = seed_interval(verdict.records, cell_value_name(verdict.cell)) if has_mean and verdict.records else None
    return {
        **_cell_row(verdict.cell),
        "verdict": str(verdict.outcome),
        "reason": verdict.reason,
        "command": verdict.command,
        "measured": verdict.mean,
        **ends("sampling", verdict.sampling),
        **ends("seeds", shown and shown.ends),
        "interval": shown and shown.about,
        "seeds": len(verdict.records),
        "protocol_hash": first and first.protocol_hash,
        "profile": first and first.profile,
        "synthetic": first and first.synthetic,
        "deviations": deviations_text(verdict.deviations),
        "runs": ", ".join(record.run_id for record in verdict.records),
        "external": first.external.what if first and first.external else "",
        "result": first.external.name if first and first.external else "",
        **(source.columns() if source else dict.fromkeys(SPEED_COLUMNS, "")),
    }

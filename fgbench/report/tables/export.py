"""Tables as files: CSV, Parquet and JSON with full precision for programs, LaTeX and Markdown for readers."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from fgbench.judge import frames
from fgbench.judge.external_verdicts import with_external
from fgbench.judge.verdict import Verdict
from fgbench.papers.printed import Paper, load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.report.tables.answers import answer_frame, answer_sheet
from fgbench.report.tables.curve_table import curve_frame, curve_sheet
from fgbench.report.tables.differences import difference_frame, difference_sheet
from fgbench.report.tables.effects import effect_frame, effect_sheet
from fgbench.report.tables.latex_markdown import latex, markdown
from fgbench.report.tables.outcomes import outcome_frame, outcome_sheet
from fgbench.report.tables.parquet import check_parquet
from fgbench.report.tables.phase_table import phase_frame, phase_sheet
from fgbench.report.tables.run_table import run_frame, run_sheet
from fgbench.report.tables.sheet import Sheet, comparison_sheet, frame_sheet
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.files import write_atomic, write_text
from fgbench.util.plain_text import plain_json, spreadsheet_text

FORMATS = {"csv": ".csv", "parquet": ".parquet", "latex": ".tex", "markdown": ".md", "json": ".json"}
"""Each format with the suffix of its files."""
VALUES = ("recipe", "profile", "data", "seed", "metric", "value", "n", "unit", "comparable")
EFFECTS = "effects"
"""Name of the table that has a reference run."""
CELLS = ("paper", "table", "row", "column", "data", "metric", "printed", "margin", "unit", "recipe", "cites")
MARKUP: dict[str, Callable[[Sheet], str]] = {"latex": latex, "markdown": markdown}


def export(name: str, results: Path, style: str | None, out: Path | None, run_id: str = "") -> None:
    """Write a table to a file or, without one, to standard output.

    Args:
        name: `values`, `runs`, `answers`, `outcomes`, `curves`, `phases`, `differences`, `effects`, `cells`,
            `verdicts`, a paper such as `bcnn`, or a table of it such as `bcnn/t1`.
        results: a results folder, or a folder of records.
        style: one of `FORMATS`; None for the format of the suffix of `out`, or CSV.
        out: the file; None for standard output.
        run_id: id of the reference run of `effects`.

    Raises:
        FgbenchError: an unknown table, format or suffix, no folder of results, or Parquet cannot be written.
    """
    style = _style(style, out)
    if style == "parquet":
        check_parquet(out)
    papers = load_papers()
    tables = [f"{paper.id}/{table.id}" for paper in papers.values() for table in paper.tables]
    known = ["values", *RUN_TABLES, EFFECTS, "cells", "verdicts", *papers, *tables]
    if name not in known:
        raise FgbenchError(f"no table named {name!r}; {nearest(name, known)}", "fgbench export --help")
    effects = effect_frame(frames.open_store(results), run_id) if name == EFFECTS else None
    if style in MARKUP:
        sheets = _sheets(name, results, papers) if effects is None else [effect_sheet(effects)]
        text = "\n".join(map(MARKUP[style], sheets))
    else:
        frame = _frame(name, results, papers) if effects is None else effects
        if out and style == "parquet":
            write_atomic(out, lambda path: frame.to_parquet(path, index=False, engine="pyarrow"))
            return
        text = _csv(frame) if style == "csv" else _json(frame)
    if out:
        write_text(out, text)
    else:
        sys.stdout.write(text)


def _style(style: str | None, out: Path | None) -> str:
    if style is None and out and out.suffix:
        formats = [name for name, suffix in FORMATS.items() if suffix == out.suffix]
        if not formats:
            raise FgbenchError(
                f"no format for files {out.suffix}; known: {', '.join(FORMATS.values())}", "--format csv"
            )
        return formats[0]
    style = style or "csv"
    if style not in FORMATS:
        raise FgbenchError(f"no format named {style!r}; {nearest(style, FORMATS)}")
    return style


def _judged(name: str, results: Path, papers: Mapping[str, Paper]) -> dict[str, list[Verdict]]:
    # All papers, because a paper may cite another one.
    verdicts = frames.judge_store(papers, frames.open_store(results))
    return {key: v for key, v in verdicts.items() if name in {"verdicts", key} or name.startswith(f"{key}/")}


def _frame(name: str, results: Path, papers: Mapping[str, Paper]) -> pd.DataFrame:
    if name == "values":
        return frames.load(results)
    if name in RUN_TABLES:
        return RUN_TABLES[name][0](frames.open_store(results), papers)
    if name == "cells":
        return frames.cells()
    verdicts = [verdict for of_paper in _judged(name, results, papers).values() for verdict in of_paper]
    table = name.partition("/")[2]
    return frames.verdict_frame([v for v in verdicts if not table or v.cell.id.startswith(f"{table}/")])


def _sheets(name: str, results: Path, papers: Mapping[str, Paper]) -> list[Sheet]:
    if name == "values":
        return [frame_sheet("values", "Measured values.", frames.load(results), VALUES)]
    if name in RUN_TABLES:
        return [RUN_TABLES[name][1](_frame(name, results, papers))]
    if name == "cells":
        return [frame_sheet("cells", "Numbers that the papers print.", frames.cells(), CELLS)]
    return [
        comparison_sheet(papers[key], table, verdicts)
        for key, verdicts in _judged(name, results, papers).items()
        for table in papers[key].tables
        if name in {"verdicts", key, f"{key}/{table.id}"}
    ]


def _verdicts(store: Store, papers: Mapping[str, Paper]) -> list[Verdict]:
    return [verdict for of_paper in frames.judge_store(papers, store).values() for verdict in of_paper]


def _answers(store: Store, papers: Mapping[str, Paper]) -> pd.DataFrame:
    return answer_frame(frames.verdict_frame(_verdicts(store, papers)))


def _runs(store: Store, papers: Mapping[str, Paper]) -> pd.DataFrame:
    return run_frame(store.records(), with_external(_verdicts(store, papers)))


RUN_TABLES: dict[str, tuple[Callable[[Store, Mapping[str, Paper]], pd.DataFrame], Callable[[pd.DataFrame], Sheet]]] = {
    "runs": (_runs, run_sheet),
    "answers": (_answers, answer_sheet),
    "outcomes": (lambda store, papers: outcome_frame(_verdicts(store, papers)), outcome_sheet),
    "curves": (lambda store, papers: curve_frame(store.records()), curve_sheet),
    "phases": (lambda store, papers: phase_frame(store.records()), phase_sheet),
    "differences": (
        lambda store, papers: difference_frame(store.records(), store.outputs, load_recipes()),
        difference_sheet,
    ),
}
"""Tables of runs: a function of records and papers, and a function that makes it a sheet."""


def _csv(frame: pd.DataFrame) -> str:
    """Rows as CSV, whose text no spreadsheet runs as a formula."""
    texts = {
        name: column.astype(object).map(lambda value: spreadsheet_text(value) if isinstance(value, str) else value)
        for name, column in frame.items()
        if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column)
    }
    safe = frame.assign(**{str(name): column for name, column in texts.items()})
    return safe.rename(columns=spreadsheet_text).to_csv(index=False, lineterminator="\n")


def _json(frame: pd.DataFrame) -> str:
    """Rows as JSON with full precision; pandas itself would round numbers to 15 digits."""
    plain = frame.astype(dict.fromkeys(frame.select_dtypes("datetimetz"), "string")).astype(object)
    rows = plain.where(frame.notna(), None).to_dict("records")
    return plain_json(json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"

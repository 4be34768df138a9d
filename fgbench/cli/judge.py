"""`fgbench judge`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fgbench.cli import completion
from fgbench.cli.next_steps import next_after_runs, print_next
from fgbench.cli.options import RESULTS, AsJson, Results, expanded


def judge(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", callback=expanded, help="CSV, Parquet or NPZ; several files are seeds."),
    ],
    cell: Annotated[
        str,
        typer.Option(
            metavar="CELL", autocompletion=completion.cells, help="Printed number, such as bcnn/t1/bcnn_dd/birds."
        ),
    ],
    name: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Name of the result on pages. [default: name of the first file]", show_default=False
        ),
    ] = "",
    data: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            autocompletion=completion.data_sets,
            help="Data set of the predictions, such as synthetic_birds; another one than that of the printed number is "
            "not comparable. [default: that of the printed number]",
            show_default=False,
        ),
    ] = "",
    results: Results = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Judge predictions made elsewhere against a printed number."""
    from fgbench.cli.console import Answer
    from fgbench.judge.outside.verdicts import judge_predictions

    verdict = judge_predictions(files, cell, results, name, data)
    facts = _facts(verdict) | {"next": next_after_runs([record.run_id for record in verdict.records], results)}
    with Answer(as_json=as_json) as answer:
        answer.give(facts, lambda: _show(verdict, facts, cell, results))


def _show(verdict: Any, facts: dict[str, Any], cell: str, results: Path) -> None:
    """Print a verdict."""
    from fgbench.cli.console import out
    from fgbench.records.store import store_of
    from fgbench.util.plain_text import one_line

    measured = f"{verdict.mean:.2f} {verdict.cell.unit}" if verdict.mean is not None else "no number"
    printed = f"printed {verdict.cell.value:g} {verdict.cell.unit}, margin {verdict.cell.margin:g}"
    out(f"{facts['title']}: {measured} ({printed}; {cell})")
    out(one_line(f"{verdict.outcome}: {verdict.reason}"))
    for anomaly in verdict.anomalies:
        out(one_line(f"anomaly: {anomaly.kind}: {anomaly.text}"))
    for record in verdict.records:
        out(f"kept: {store_of(results).folder / record.run_id}.json")
    print_next(facts["next"])


def _facts(verdict: Any) -> dict[str, Any]:
    """Return a verdict as plain values."""
    from fgbench.judge.frames import verdict_frame

    frame = verdict_frame([verdict])
    row = frame.astype(object).where(frame.notna(), None).iloc[0]
    files = [
        {"file": record.external.file, "sha256": record.external.sha256, "run": record.run_id}
        for record in verdict.records
    ]
    anomalies = [{"kind": anomaly.kind, "text": anomaly.text} for anomaly in verdict.anomalies]
    return {
        "title": verdict.records[0].title,
        **dict(zip(frame.columns, row, strict=True)),
        "files": files,
        "anomalies": anomalies,
    }

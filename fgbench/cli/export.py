"""`fgbench export`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.next_steps import next_command
from fgbench.cli.options import RESULTS, Results, expanded
from fgbench.util.errors import FgbenchError


def export(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            autocompletion=completion.tables,
            help="values, runs, answers, outcomes, curves, phases, differences, verdicts or cells; printed "
            "tables: bcnn (a paper), bcnn/t1; or of a run: predictions or keypoints, as fgbench judge reads them, or "
            "effects, which compares the other runs with it image by image.",
        ),
    ],
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=completion.runs,
            help="Id of a run or its beginning, for predictions, keypoints and effects.",
        ),
    ] = "",
    style: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="TEXT",
            help="csv, parquet or json for programs; latex or markdown for readers; of predictions csv, "
            "parquet or npz. [default: by --out, or csv]",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", callback=expanded, help="File to write. [default: standard output]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    results: Results = RESULTS,
) -> None:
    """Write values, curves, verdicts, tables, or predictions.

    A printed table is written beside the measured values.
    """
    from fgbench.cli.found_runs import find_run
    from fgbench.judge.frames import open_store
    from fgbench.report.tables import export as tables
    from fgbench.report.tables.export import EFFECTS
    from fgbench.report.tables.predictions import PREDICTIONS, export_predictions

    if as_json:
        if style not in {None, "json"}:
            raise FgbenchError(f"--json and --format {style} are given together", "leave one out")
        style = "json"
    of_run = {*PREDICTIONS, EFFECTS}
    if (table in of_run) != bool(run):
        if table in of_run:
            raise FgbenchError(
                f"{table} are those of one run, which is missing", next_command("list", "runs", results=results)
            )
        raise FgbenchError(f"{table} is not a table of one run", next_command("export", table, results=results))
    run_id = find_run(results, run, open_store(results).run_ids()) if run else ""
    if table in PREDICTIONS:
        export_predictions(table, run_id, results, style, out)
    else:
        tables.export(table, results, style, out, run_id)

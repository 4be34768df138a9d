"""`fgbench export`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, Results, expanded


def export(
    table: Annotated[
        str,
        typer.Argument(
            help="values, runs, phases, differences, verdicts or cells; or printed tables: bcnn (a paper), bcnn/t1."
        ),
    ],
    style: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, parquet or json for programs; latex or markdown for readers. [default: by --out, or csv]",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(callback=expanded, help="File to write. [default: standard output]")
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Write measured values, verdicts, or a printed table beside the measured values."""
    from fgbench.report.tables import export as tables

    tables.export(table, results, style, out)

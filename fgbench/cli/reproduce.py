"""`fgbench reproduce`."""

from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, ExecutionOptions, Results, with_execution


@with_execution
def reproduce(
    data: Annotated[str, typer.Argument(help="Data set, such as cub; reid for all data sets of re-identification.")],
    execution: ExecutionOptions,
    results: Results = RESULTS,
) -> None:
    """Run every recipe of a data set, judge every printed cell, and render the report."""
    from fgbench.cli.console import out
    from fgbench.cli.report import write_report
    from fgbench.cli.run_requests import Request, run_recipes

    code = run_recipes(Request.of(data, execution), results)
    built = write_report(results, results / "report")
    out(f"report: {built.first_page}")
    raise typer.Exit(1 if built.left_out else code)

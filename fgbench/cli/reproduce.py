"""`fgbench reproduce`."""

from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, AsJson, DryRun, ExecutionOptions, Gpu, Results, with_execution


@with_execution
def reproduce(
    data: Annotated[str, typer.Argument(help="Data set, such as cub; reid for all data sets of re-identification.")],
    execution: ExecutionOptions,
    dry_run: DryRun = False,
    gpu: Gpu = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Run every recipe of a data set, judge every printed cell, and render the report."""
    from fgbench.cli.console import out
    from fgbench.cli.dry_run import check_dry_run, show_dry_run
    from fgbench.cli.report import write_report
    from fgbench.cli.run_requests import Request, run_recipes

    request = Request.of(data, execution)
    check_dry_run(request, dry_run=dry_run, as_json=as_json, gpu=gpu)
    if dry_run:
        show_dry_run(request, results, gpu=gpu, as_json=as_json)
        return
    code = run_recipes(request, results)
    built = write_report(results, results / "report")
    out(f"report: {built.first_page}")
    raise typer.Exit(1 if built.left_out else code)

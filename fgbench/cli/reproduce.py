"""`fgbench reproduce`."""

from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, AsJson, DryRun, ExecutionOptions, Gpu, Precision, Results, with_execution


@with_execution
def reproduce(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            autocompletion=completion.groups,
            help="Data set, such as cub; reid for all data sets of re-identification.",
        ),
    ],
    execution: ExecutionOptions,
    precision: Precision = None,
    dry_run: DryRun = False,
    gpu: Gpu = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Run all recipes of a data set, judge its cells, and report.

    Finished runs are kept; interrupted runs continue.
    """
    from fgbench.cli.console import Answer, out

    with Answer(as_json=as_json) as answer:
        out("loading PyTorch and the recipes")  # takes seconds
        from fgbench.cli.dry_run import check_dry_run, give_dry_run
        from fgbench.cli.report import write_report
        from fgbench.cli.run_requests import Request, run_recipes
        from fgbench.cli.run_results import give_next, give_results
        from fgbench.runs.run import Changes

        request = Request.of(data, execution, changes=Changes(precision=precision))
        check_dry_run(request, dry_run=dry_run, gpu=gpu)
        if dry_run:
            give_dry_run(answer, request, results, gpu=gpu)
            return
        ended = run_recipes(request, results)
        if ended.prints:
            give_results(answer, ended.plan, ended.result, results)
        built = write_report(results, results / "report")
        if ended.prints:
            give_next(answer, ended.plan, ended.result, results, has_report=True)
        answer.give({"report": str(built.first_page)}, lambda: out(f"report: {built.first_page}"))
    raise typer.Exit(1 if built.left_out else ended.exit_code)

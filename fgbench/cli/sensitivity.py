"""`fgbench sensitivity`."""

from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import (
    RESULTS,
    AsJson,
    Backbone,
    Classes,
    DryRun,
    ExecutionOptions,
    Gpu,
    Precision,
    Results,
    Size,
    with_execution,
)


@with_execution
def sensitivity(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            autocompletion=completion.recipes,
            help="A recipe, such as bcnn/fv_sift; see `fgbench list recipes`.",
        ),
    ],
    execution: ExecutionOptions,
    recompress: Annotated[
        str, typer.Option(metavar="TEXT", help="JPEG qualities from 1 to 95: at least two, one of them at most 50.")
    ] = "75,50,30",
    data: Annotated[
        str, typer.Option(metavar="TEXT", autocompletion=completion.data_sets, help="Data set of the recipe.")
    ] = "cub",
    classes: Classes = None,
    size: Size = None,
    backbone: Backbone = None,
    precision: Precision = None,
    dry_run: DryRun = False,
    gpu: Gpu = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Bound the effect of recompressed images on a recipe.

    The recipe runs on the images as they are, and on images that are compressed once more.
    """
    from fgbench.cli.console import Answer
    from fgbench.cli.dry_run import check_dry_run, give_dry_run
    from fgbench.cli.run_requests import Request
    from fgbench.cli.sensitivity_output import parse_qualities, run_and_measure
    from fgbench.runs.run import Changes

    qualities = parse_qualities(recompress)
    changes = Changes(classes=classes, size=size, backbone=backbone, precision=precision)
    request = Request.of(data, execution, (recipe,), changes, qualities)
    check_dry_run(request, dry_run=dry_run, gpu=gpu)
    with Answer(as_json=as_json) as answer:
        if dry_run:
            give_dry_run(answer, request, results, gpu=gpu)
            return
        code = run_and_measure(request, results, answer)
    raise typer.Exit(code)

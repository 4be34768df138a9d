"""`fgbench sensitivity`."""

from typing import Annotated

import typer

from fgbench.cli.options import (
    RESULTS,
    Backbone,
    Classes,
    ExecutionOptions,
    Precision,
    Results,
    Size,
    with_execution,
)


@with_execution
def sensitivity(
    recipe: Annotated[str, typer.Argument(help="A recipe, such as bcnn/fv_sift; see `fgbench list recipes`.")],
    execution: ExecutionOptions,
    recompress: Annotated[
        str, typer.Option(help="JPEG qualities from 1 to 95: at least two, one of them at most 50.")
    ] = "75,50,30",
    data: Annotated[str, typer.Option(help="Data set of the recipe.")] = "cub",
    classes: Classes = None,
    size: Size = None,
    backbone: Backbone = None,
    precision: Precision = None,
    results: Results = RESULTS,
) -> None:
    """Bound the effect of recompressed images: run a recipe as it is, and on images that are compressed once more."""
    from fgbench.cli.run_requests import Request
    from fgbench.cli.sensitivity_output import parse_qualities, run_and_show
    from fgbench.runs.run import Changes

    qualities = parse_qualities(recompress)
    changes = Changes(classes=classes, size=size, backbone=backbone, precision=precision)
    raise typer.Exit(run_and_show(Request.of(data, execution, (recipe,), changes, qualities), results))

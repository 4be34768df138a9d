"""`fgbench run`."""

from typing import Annotated

import typer

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
def run(
    recipes: Annotated[list[str], typer.Argument(help="Recipes, such as bcnn/bcnn_dd; see `fgbench list recipes`.")],
    execution: ExecutionOptions,
    data: Annotated[str, typer.Option(help="Data set of the recipes.")] = "cub",
    classes: Classes = None,
    size: Size = None,
    backbone: Backbone = None,
    precision: Precision = None,
    shuffle_labels: Annotated[
        bool,
        typer.Option(help="Control experiment: permute the training labels; the accuracy must fall to chance level."),
    ] = False,
    watch_test: Annotated[
        bool, typer.Option(help="Record the test accuracy after each epoch; nothing is selected with it.")
    ] = False,
    watch_every: Annotated[
        int, typer.Option(min=1, help="With --watch-test: only after every N-th epoch and the last of a stage.")
    ] = 1,
    recompress: Annotated[
        int | None,
        typer.Option(min=1, max=95, help="Compress every image once more to this JPEG quality: a deviation."),
    ] = None,
    dry_run: DryRun = False,
    gpu: Gpu = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Run recipes and write their records. Finished runs are kept; interrupted runs continue."""
    from fgbench.cli.dry_run import check_dry_run, show_dry_run
    from fgbench.cli.run_requests import Request, run_recipes
    from fgbench.runs.run import Changes

    changes = Changes(classes, size, shuffle_labels, backbone, precision, watch_test, recompress, watch_every)
    request = Request.of(data, execution, tuple(recipes), changes)
    check_dry_run(request, dry_run=dry_run, as_json=as_json, gpu=gpu)
    if dry_run:
        show_dry_run(request, results, gpu=gpu, as_json=as_json)
        return
    raise typer.Exit(run_recipes(request, results))

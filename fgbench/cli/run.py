"""`fgbench run`."""

from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import (
    RESULTS,
    AsJson,
    Backbone,
    Classes,
    DryRun,
    Epochs,
    ExecutionOptions,
    Gpu,
    Limit,
    Precision,
    Results,
    SetValues,
    Size,
    with_execution,
)


@with_execution
def run(
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE",
            autocompletion=completion.recipes,
            help="Recipes (bcnn/bcnn_dd, bcnn/*), papers, or cells (bcnn/t1/bcnn_dd/birds).",
        ),
    ],
    execution: ExecutionOptions,
    data: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            autocompletion=completion.data_sets,
            help="Data set of the recipes; imagefolder:PATH for images of your own.",
        ),
    ] = "cub",
    classes: Classes = None,
    size: Size = None,
    backbone: Backbone = None,
    precision: Precision = None,
    epochs: Epochs = None,
    limit: Limit = None,
    set_values: SetValues = None,
    shuffle_labels: Annotated[
        bool,
        typer.Option(
            "--shuffle-labels",
            help="Control experiment: permute the training labels; the accuracy must fall to chance level.",
        ),
    ] = False,
    watch_test: Annotated[
        bool,
        typer.Option("--watch-test", help="Record the test accuracy after each epoch; nothing is selected with it."),
    ] = False,
    watch_every: Annotated[
        int,
        typer.Option(
            metavar="INTEGER", min=1, help="With --watch-test: only after every N-th epoch and the last of a stage."
        ),
    ] = 1,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Compile the networks for the training: a deviation in rounding.")
    ] = False,
    recompress: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER", min=1, max=95, help="Compress every image once more to this JPEG quality: a deviation."
        ),
    ] = None,
    dry_run: DryRun = False,
    gpu: Gpu = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Run recipes and write their records.

    Finished runs are kept; interrupted runs continue.
    """
    from fgbench.cli.console import Answer
    from fgbench.cli.dry_run import check_dry_run, give_dry_run
    from fgbench.cli.run_requests import Request, run_recipes
    from fgbench.cli.run_results import give_next, give_results
    from fgbench.runs.run import Changes

    changes = Changes(
        classes=classes,
        size=size,
        shuffle_labels=shuffle_labels,
        backbone=backbone,
        precision=precision,
        watch_test=watch_test,
        recompress=recompress,
        watch_every=watch_every,
        compile=compile_,
        epochs=epochs,
        limit=limit,
        set_values=tuple(set_values or ()),
    )
    request = Request.of(data, execution, tuple(recipes), changes)
    check_dry_run(request, dry_run=dry_run, gpu=gpu)
    with Answer(as_json=as_json) as answer:
        if dry_run:
            give_dry_run(answer, request, results, gpu=gpu)
            return
        ended = run_recipes(request, results)
        if ended.prints:
            give_results(answer, ended.plan, ended.result, results)
            give_next(answer, ended.plan, ended.result, results)
    raise typer.Exit(ended.exit_code)

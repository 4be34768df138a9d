"""`fgbench evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, AsJson, Backbone, Classes, Limit, Results, SetValues, Size, expanded


def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", callback=expanded, help="Checkpoints (.safetensors, .pth, .pt); several files are seeds."
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            metavar="RECIPE",
            autocompletion=completion.recipes,
            help="Recipe whose method and protocol are used, such as bcnn/bcnn_dd.",
        ),
    ],
    data: Annotated[
        str, typer.Option(metavar="TEXT", autocompletion=completion.data_sets, help="Data set of the recipe.")
    ] = "cub",
    profile: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            autocompletion=completion.profiles,
            help="paper, or quick for networks of the quick profile.",
        ),
    ] = "paper",
    names: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=expanded,
            help="TOML file with the table names: beginnings of names and replacements.",
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Name of the result on pages. [default: name of the first file]", show_default=False
        ),
    ] = "",
    list_names: Annotated[bool, typer.Option("--list", help="Only print the tensors of file and method.")] = False,
    classes: Classes = None,
    size: Size = None,
    backbone: Backbone = None,
    limit: Limit = None,
    set_values: SetValues = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Test a trained network under the protocol of a recipe.

    The network is one of your own, or of another program.
    """
    from fgbench.cli.console import Answer
    from fgbench.cli.evaluation import Evaluation
    from fgbench.runs.run import Changes

    changes = Changes(classes=classes, size=size, backbone=backbone, limit=limit, set_values=tuple(set_values or ()))
    with Answer(as_json=as_json) as answer:
        evaluation = Evaluation.of(files, recipe, data, profile, changes, name, names)
        if list_names:
            evaluation.give_names(answer)
            return
        code = evaluation.run(results, answer)
    raise typer.Exit(code)

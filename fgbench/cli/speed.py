"""`fgbench speed`."""

from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, AsJson, Results


def speed(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE",
            autocompletion=completion.recipes,
            help="Recipes, such as bcnn/bcnn_dd; see `fgbench list recipes`. [default: those whose frames per second "
            "are printed]",
        ),
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="TEXT", autocompletion=completion.data_sets, help="Data set of the recipes.")
    ] = "cub",
    device: Annotated[
        str | None, typer.Option(metavar="TEXT", help="cpu or cuda. [default: cuda if there is a GPU]")
    ] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Measure the frames per second and the energy of recipes.

    From pixels to scores on this machine, at the image size of the paper in float32, with one image and at the best
    batch size. No weight files are needed: weights are random. Each recipe has a result file in <results>/speed, which
    `fgbench report` reads.
    """
    from fgbench.cli.console import Answer
    from fgbench.cli.speed_output import measure_and_write

    with Answer(as_json=as_json) as answer:
        measure_and_write(recipes or (), data, device, results, answer)

"""`fgbench show`."""

from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, AsJson, Results


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completion.anything,
            help="A recipe (bcnn/bcnn_dd), a cell (bcnn/t1/bcnn_dd/birds), or the id of a run.",
        ),
    ],
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Show a recipe, a printed cell with its verdict, or a run.

    A recipe is shown with the origin of each of its values and its cost.
    """
    from fgbench.cli.console import Answer
    from fgbench.cli.shown import shown

    with Answer(as_json=as_json) as answer:
        answer.give_tables(shown(name, results))

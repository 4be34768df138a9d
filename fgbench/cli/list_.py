"""`fgbench list`."""

from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, AsJson, Every, Results


def list_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            autocompletion=completion.kinds,
            help="papers, rows, cells, recipes, methods, data, runs, or all.",
        ),
    ] = "all",
    every: Every = False,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """List papers, rows, cells, recipes, methods, data, or runs.

    Rows and cells are those of the printed tables. Runs are those of a results folder, finished or not.
    """
    from fgbench.cli.catalogue import catalogue
    from fgbench.cli.catalogue_tables import show_catalogue
    from fgbench.cli.console import Answer

    with Answer(as_json=as_json) as answer:
        tables = catalogue(kind, results)
        answer.give(tables, lambda: show_catalogue(tables, every=every))

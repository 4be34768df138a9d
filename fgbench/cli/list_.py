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
            help="papers, rows, cells, recipes, values, methods, data, runs, or all.",
        ),
    ] = "all",
    paper: Annotated[
        str | None,
        typer.Argument(
            metavar="PAPER", autocompletion=completion.papers, help="Only this paper. `cells` then prints its tables."
        ),
    ] = None,
    every: Every = False,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """List papers, cells, recipes, values, methods, data, or runs.

    Rows and cells are those of the printed tables. Values are those of the recipes, each with its origin and the
    sentence that says it. Runs are those of a results folder, finished or not.
    """
    from fgbench.cli.catalogue import catalogue
    from fgbench.cli.catalogue_tables import show_catalogue
    from fgbench.cli.console import Answer
    from fgbench.papers.printed import load_papers

    with Answer(as_json=as_json) as answer:
        tables = catalogue(kind, results, paper)
        answer.give(tables, lambda: show_catalogue(tables, every=every, paper=load_papers()[paper] if paper else None))

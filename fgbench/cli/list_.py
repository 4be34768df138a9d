"""`fgbench list`."""

from typing import Annotated

import typer

from fgbench.cli.options import AsJson


def list_(
    kind: Annotated[str, typer.Argument(help="papers, rows, cells, recipes, methods, data, or all.")] = "all",
    as_json: AsJson = False,
) -> None:
    """Print papers, the rows and cells of their tables, recipes, methods and data sets."""
    from fgbench.cli.catalogue import catalogue
    from fgbench.cli.console import print_json, table

    tables = catalogue(kind)
    if as_json:
        print_json(tables)
        return
    for name, rows in tables.items():
        table(name, rows)

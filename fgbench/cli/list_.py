"""`fgbench list`."""

import json
from typing import Annotated

import typer

from fgbench.cli.options import AsJson


def list_(
    kind: Annotated[str, typer.Argument(help="papers, rows, cells, recipes, methods, data, or all.")] = "all",
    as_json: AsJson = False,
) -> None:
    """Print papers, the rows and cells of their tables, recipes, methods and data sets."""
    from fgbench.cli.catalogue import catalogue
    from fgbench.cli.console import table

    tables = catalogue(kind)
    if as_json:
        typer.echo(json.dumps(tables, indent=1, ensure_ascii=False))
        return
    for name, rows in tables.items():
        table(name, rows)

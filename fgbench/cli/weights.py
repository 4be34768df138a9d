"""`fgbench weights list` and `fgbench weights get`."""

from typing import Annotated

import typer

from fgbench.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Get the weights of a network, or list the known weight files.")


@app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """Print every weight file that a recipe may name, and its place on this machine."""
    from fgbench.backbones import known_weights
    from fgbench.cli.console import print_json, table

    rows = known_weights()
    print_json(rows) if as_json else table("weights", rows)


@app.command("get")
def get(name: Annotated[str, typer.Argument(help="Weight file, such as vgg16.matconvnet.")]) -> None:
    """Download the weights of a network from their official address and verify their checksum."""
    from fgbench.backbones import get_weights
    from fgbench.cli.console import out

    out(f"{name} is at {get_weights(name)}")

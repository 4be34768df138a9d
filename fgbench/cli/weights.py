"""`fgbench weights list`, `fgbench weights get` and `fgbench weights train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fgbench.cli.help_pages import Verb
from fgbench.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Get, list or train weight files.")


@app.command("list", cls=Verb)
def list_weights(as_json: AsJson = False) -> None:
    """List the weight files that recipes name, and their places."""
    from fgbench.backbones import known_weights
    from fgbench.cli.console import Answer, is_wide, table

    rows = known_weights()
    with Answer(as_json=as_json) as answer:
        answer.give(rows, lambda: table("weights", rows if is_wide() else [_without_file(row) for row in rows]))


def _without_file(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "file"}


@app.command("get", cls=Verb)
def get(name: Annotated[str, typer.Argument(metavar="NAME", help="Weight file, such as vgg16.matconvnet.")]) -> None:
    """Download a weight file.

    It comes from its official address, and its checksum is verified.
    """
    from fgbench.backbones import get_weights
    from fgbench.cli.console import out
    from fgbench.cli.next_steps import next_command, print_next
    from fgbench.cli.other_names import check_weights_name

    check_weights_name(name)
    out(f"{name} is at {get_weights(name)}")
    print_next([next_command("doctor")])


@app.command("train", cls=Verb)
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small network: tiny_d or tiny_m.")],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write.")],
) -> None:
    """Train a small network of the profile quick again.

    The package contains the file that this command writes. The training takes about four minutes on one core.
    """
    from fgbench.backbones.small_weights import SMALL_NETWORKS
    from fgbench.cli.console import out
    from fgbench.cli.progress import Progress
    from fgbench.runs.training.small_networks import train_small_network
    from fgbench.util.errors import FgbenchError, nearest

    if name not in SMALL_NETWORKS:
        raise FgbenchError(
            f"{name!r} is not a small network; {nearest(name, SMALL_NETWORKS)}",
            "fgbench weights train tiny_d --out tiny_d.safetensors",
        )
    with Progress() as progress:
        bar = progress.add(name, 1.0)
        train_small_network(name, out_file, lambda _, share: progress.set_share(bar, share))
    out(f"{name} is at {out_file}")

"""`fgbench data get` and `fgbench data check`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fgbench.cli.options import AsJson
from fgbench.util.counted import counted

if TYPE_CHECKING:
    from fgbench.datasets.check import CheckResult

SHOWN_NOTES = 3
"""Number of notes of one kind that are printed when there are more than 20."""

app = typer.Typer(no_args_is_help=True, help="Get a data set, or check one that is here.")
Name = Annotated[str, typer.Argument(help="Data set, such as cub.")]


@app.command("get")
def get(name: Name) -> None:
    """Download the official archive (resumable, checksum verified) and unpack it."""
    from fgbench.cli.console import out
    from fgbench.datasets.obtain import get_data

    out(f"{name} is at {get_data(name)}")


@app.command("check")
def check(name: Name, as_json: AsJson = False) -> None:
    """Decode every image and compare every annotation with the official one; exit code 1 if something is wrong."""
    raise typer.Exit(0 if check_data(name, as_json=as_json) else 1)


def check_data(name: str, *, as_json: bool = False) -> bool:
    """Check a data set and print the result; True if there is no problem."""
    from fgbench import datasets
    from fgbench.cli.console import Progress, out, print_json
    from fgbench.datasets.check import COUNT_NAMES, check
    from fgbench.datasets.reid import ReidIndex

    dataset = datasets.find(name)
    index = dataset.index()
    with Progress(quiet=as_json) as progress:
        task = progress.add(f"decoding {name}", len(index))
        result = check(index, dataset.official, dataset.tables, dataset.counts, lambda: progress.advance(task))
    if as_json:
        print_json(asdict(result))
        return not result.problems
    _print_findings(result)
    if isinstance(index, ReidIndex):
        counts = ", ".join(f"{count} {COUNT_NAMES[kind]}" for kind, count in index.counts.items())
    else:
        counts = (
            f"{counted(result.images, 'image')} of {counted(len(index.classes), 'class', 'classes')}, "
            f"{index.train.sum():,} for training"
        )
    out(f"{dataset.title}: {counts}, {counted(len(result.problems), 'problem')}")
    if not result.problems:
        out(f"annotations {index.annotation_hashes['split']}, fingerprint {index.fingerprint}")
    return not result.problems


def _print_findings(result: "CheckResult") -> None:
    """Print problems and notes as one table for each kind."""
    from fgbench.cli.console import out, table

    for title, findings in (("problems", result.problems), ("notes", result.notes)):
        for kind in sorted({finding.kind for finding in findings}):
            of_kind = [finding for finding in findings if finding.kind == kind]
            shown = of_kind if title == "problems" or len(of_kind) <= 20 else of_kind[:SHOWN_NOTES]
            table(f"{title}: {kind} ({len(of_kind)})", [{"file": f.file, "what": f.what} for f in shown])
            if len(shown) < len(of_kind):
                out(f"  and {len(of_kind) - len(shown)} more (--json lists all)")

"""`fgbench data get`, `fgbench data check` and `fgbench data list`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.help_pages import Verb
from fgbench.cli.options import AsJson
from fgbench.util.counted import counted

if TYPE_CHECKING:
    from fgbench.datasets.check import CheckResult
    from fgbench.datasets.index import Index
    from fgbench.datasets.reid import ReidIndex

SHOWN_NOTES = 3
"""Number of notes of one kind that are printed when there are more than 20."""

app = typer.Typer(no_args_is_help=True, help="Get, check or list data sets.")
SHOWN_CLASSES = 50
"""Number of classes of images of the user whose counts are printed."""

Name = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        autocompletion=completion.data_sets,
        help="Data set, such as cub; imagefolder:PATH for images of your own.",
    ),
]


@app.command("get", cls=Verb)
def get(name: Name) -> None:
    """Download the official archive and unpack it.

    An interrupted download continues. The checksum is verified.
    """
    from fgbench.cli.console import out
    from fgbench.cli.next_steps import next_command, print_next
    from fgbench.cli.other_names import check_data_name
    from fgbench.datasets.obtain import get_data

    check_data_name(name, "data get")
    out(f"{name} is at {get_data(name)}")
    print_next([next_command("data check", name)])


@app.command("check", cls=Verb)
def check(name: Name, as_json: AsJson = False) -> None:
    """Decode every image, and compare every annotation.

    Annotations are compared with the official ones. The exit code is 1 if something is wrong.
    """
    from fgbench.cli.other_names import check_data_name

    check_data_name(name, "data check")
    raise typer.Exit(0 if check_data(name, as_json=as_json) else 1)


@app.command("list", cls=Verb)
def list_data(as_json: AsJson = False) -> None:
    """List the data sets, and which of them are here."""
    from fgbench.cli.catalogue import catalogue
    from fgbench.cli.console import Answer
    from fgbench.cli.options import RESULTS

    with Answer(as_json=as_json) as answer:
        answer.give_tables(catalogue("data", RESULTS))


def check_data(name: str, *, as_json: bool = False) -> bool:
    """Check a data set and print the result; True if there is no problem."""
    from fgbench import datasets
    from fgbench.cli.console import Answer
    from fgbench.cli.progress import Progress
    from fgbench.datasets.check import check
    from fgbench.datasets.image_folder_check import class_counts
    from fgbench.datasets.index import Index
    from fgbench.datasets.reading_errors import with_next_step

    dataset = datasets.find(name)
    with with_next_step(name):
        index = dataset.index()
    by_class = class_counts(index) if isinstance(dataset, datasets.OwnImages) and isinstance(index, Index) else {}
    with Answer(as_json=as_json) as answer:
        with Progress() as progress:
            task = progress.add(f"decoding {name}", len(index))
            result = check(index, dataset.official, dataset.tables, dataset.counts, lambda: progress.advance(task))
        facts = {"title": dataset.title, **asdict(result)} | ({"classes": by_class} if by_class else {})
        if not result.problems:
            facts |= {"annotations": index.annotation_hashes["split"], "fingerprint": index.fingerprint}
        answer.give(facts, lambda: _show(dataset.title, index, result, by_class))
    return not result.problems


def _show(
    title: str, index: "Index | ReidIndex", result: "CheckResult", by_class: Mapping[str, Mapping[str, int]]
) -> None:
    """Print what a check found, and the numbers of images."""
    from fgbench.cli.console import out
    from fgbench.datasets.check import COUNT_NAMES
    from fgbench.datasets.reid import ReidIndex

    _print_findings(result)
    _print_classes(by_class)
    if isinstance(index, ReidIndex):
        counts = ", ".join(f"{count} {COUNT_NAMES[kind]}" for kind, count in index.counts.items())
    else:
        counts = (
            f"{counted(result.images, 'image')} of {counted(len(index.classes), 'class', 'classes')}, "
            f"{index.train.sum():,} for training"
        )
    out(f"{title}: {counts}, {counted(len(result.problems), 'problem')}")
    if not result.problems:
        out(f"annotations {index.annotation_hashes['split']}, fingerprint {index.fingerprint}")


def _print_classes(by_class: Mapping[str, Mapping[str, int]]) -> None:
    """Print the numbers of images of the first classes."""
    from fgbench.cli.console import out, table

    table("images", [{"class": name, **counts} for name, counts in list(by_class.items())[:SHOWN_CLASSES]])
    if (more := len(by_class) - SHOWN_CLASSES) > 0:
        out(f"  and {counted(more, 'more class', 'more classes')} (--json lists all)")


def _print_findings(result: "CheckResult") -> None:
    """Print problems and notes as one table for each kind, images that are in training and test first."""
    from fgbench.cli.console import out, table

    for title, findings in (("problems", result.problems), ("notes", result.notes)):
        for kind in sorted({finding.kind for finding in findings}, key=lambda kind: (kind != "leak", kind)):
            of_kind = [finding for finding in findings if finding.kind == kind]
            is_short = title == "problems" or kind == "leak" or len(of_kind) <= 20
            shown = of_kind if is_short else of_kind[:SHOWN_NOTES]
            table(f"{title}: {kind} ({len(of_kind)})", [{"file": f.file, "what": f.what} for f in shown])
            if len(shown) < len(of_kind):
                out(f"  and {len(of_kind) - len(shown)} more (--json lists all)")

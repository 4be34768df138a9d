"""`fgbench report`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fgbench.cli.options import RESULTS, Results, existing, expanded

if TYPE_CHECKING:
    from fgbench.report.build import BuiltReport
    from fgbench.report.html.pages import Page


def report(
    results: Results = RESULTS,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", callback=expanded, help="Folder for the pages. [default: <results>/report]"),
    ] = None,
    benchmarks: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            callback=expanded,
            help="JSON file of `pytest benchmarks`, or a folder of them; adds a page on speed. Repeatable.",
        ),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="Show pictures of the runs, and photographs of mistakes from the data sets on this machine.",
        ),
    ] = True,
) -> None:
    """Render the report from the existing records.

    The exit code is 1 if a record is damaged or was changed.
    """
    from fgbench.cli.console import out as print_line

    if results != RESULTS or not benchmarks:  # a report on speed alone needs no records
        existing(results)
    built = write_report(results, out or results / "report", benchmarks or (), pictures=pictures)
    print_line(f"report: {built.first_page}")
    raise typer.Exit(1 if built.left_out else 0)


def write_report(
    results: Path,
    folder: Path,
    benchmarks: Sequence[Path] = (),
    extra_pages: Sequence["Page"] = (),
    *,
    pictures: bool = True,
) -> "BuiltReport":
    """Build the report of a results folder and print a summary.

    Args:
        results: results folder.
        folder: folder for the pages.
        benchmarks: JSON files of `pytest benchmarks`; they add a page on speed.
        extra_pages: further pages.
        pictures: False to leave out all pictures of images.

    Returns:
        The pages and what they contain.
    """
    from fgbench.cli.console import out, print_anomalies
    from fgbench.report.build import write_pages
    from fgbench.util.counted import counted

    built = write_pages(results, folder, benchmarks, extra_pages, pictures=pictures)
    out(f"cells: {_counts(built.outcomes)}")
    out(f"claims: {_counts(built.claim_states)}")
    print_anomalies(built.records, built.anomalies)
    if unsealed := sum(not record.sealed for record in built.records):
        out(f"{counted(unsealed, 'record')} without a seal, in which only edits of values are found")
    for text in built.left_out:
        out(f"left out: {text}")
    for text in built.remarks:
        out(text)
    return built


def _counts(words: Iterable[str]) -> str:
    """Return the number of each word, most frequent first."""
    return ", ".join(f"{number} {word}" for word, number in Counter(map(str, words)).most_common())

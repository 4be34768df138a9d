"""`fgbench compare`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, AsJson, Markdown, Positional, Results, expanded


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", callback=expanded, help="Results folder to compare with.")],
    head: Positional = None,
    base_times: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            callback=expanded,
            help="JSON file of `pytest benchmarks` for BASE, or a folder. [default: BASE/benchmarks*.json]",
        ),
    ] = None,
    head_times: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            callback=expanded,
            help="The same for the folder that is judged. Several files are sessions of one night.",
        ),
    ] = None,
    markdown: Markdown = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", callback=expanded, help="Write JUnit XML.")] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Compare a results folder with an earlier one.

    The exit code is 1 if something is worse or missing, or a value better.
    """
    from fgbench.cli import comparison_output
    from fgbench.cli.console import Answer
    from fgbench.judge.nightly.night_comparison import compare_folders

    result = compare_folders(base, head or results, base_times or (), head_times or ())
    comparison_output.write(result, to_markdown=markdown, to_junit=junit)
    with Answer(as_json=as_json) as answer:
        answer.give(result.as_json(), lambda: comparison_output.show(result))
    raise typer.Exit(result.exit_code)

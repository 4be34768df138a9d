"""`fgbench compare`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import AsJson, Markdown, expanded


def compare(
    base: Annotated[Path, typer.Argument(callback=expanded, help="Results folder to compare with.")],
    head: Annotated[Path, typer.Argument(callback=expanded, help="Results folder that is judged.")],
    base_times: Annotated[
        list[Path] | None,
        typer.Option(
            callback=expanded, help="JSON file of `pytest benchmarks` for BASE. [default: BASE/benchmarks*.json]"
        ),
    ] = None,
    head_times: Annotated[
        list[Path] | None,
        typer.Option(
            callback=expanded,
            help="JSON file of `pytest benchmarks` for HEAD. Several files are sessions of one night.",
        ),
    ] = None,
    markdown: Markdown = None,
    junit: Annotated[Path | None, typer.Option(callback=expanded, help="Write JUnit XML.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report what is worse, better, new or missing; exit code 1 if something is worse or missing, or a value better."""
    from fgbench.cli import comparison_output
    from fgbench.cli.console import print_json
    from fgbench.judge.nightly.night_comparison import compare_folders

    result = compare_folders(base, head, base_times or (), head_times or ())
    comparison_output.write(result, to_markdown=markdown, to_junit=junit)
    print_json(result.as_json()) if as_json else comparison_output.show(result)
    raise typer.Exit(result.exit_code)

"""`fgbench nightly`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, AsJson, Results, expanded


def nightly(
    results: Results = RESULTS / "nightly",
    fixed: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            callback=expanded,
            help="Fixed baseline of values, such as reports/nightly. [default: <results>/fixed]",
        ),
    ] = None,
    require_baseline: Annotated[
        bool, typer.Option("--require-baseline", help="Fail without an earlier night, or if nothing was compared.")
    ] = False,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Accept the differences: this night becomes the new baseline and the fixed one."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare tonight's runs with earlier nights, and keep them.

    The night is in <results>/tonight. The exit code is 1 as for compare.
    """
    from fgbench.cli import comparison_output
    from fgbench.cli.console import Answer, out
    from fgbench.judge.nightly.night_comparison import judge_night
    from fgbench.judge.nightly.night_storage import finish_night, lock_nights

    with Answer(as_json=as_json) as answer:
        with lock_nights(results):
            result, night = judge_night(results, fixed=fixed, require_baseline=require_baseline, accept=accept)
            page = comparison_output.write_night(result, night, results)
            finish_night(results)
        answer.give(result.as_json(), lambda: comparison_output.show(result))
        answer.give({"history": str(page), "passed": night.passed}, lambda: out(f"history: {page}"))
    raise typer.Exit(0 if night.passed else 1)

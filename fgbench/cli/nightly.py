"""`fgbench nightly`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, Results, expanded


def nightly(
    results: Results = RESULTS / "nightly",
    fixed: Annotated[
        Path | None,
        typer.Option(
            callback=expanded, help="Fixed baseline of values, such as reports/nightly. [default: <results>/fixed]"
        ),
    ] = None,
    require_baseline: Annotated[
        bool, typer.Option(help="Fail without an earlier night, or if nothing was compared.")
    ] = False,
    accept: Annotated[
        bool, typer.Option(help="Accept the differences: this night becomes the new baseline and the fixed one.")
    ] = False,
) -> None:
    """Compare the night in <results>/tonight with the kept nights, and keep it; exit code 1 as for compare."""
    from fgbench.cli import comparison_output
    from fgbench.cli.console import out
    from fgbench.judge.nightly.night_comparison import judge_night
    from fgbench.judge.nightly.night_storage import finish_night, lock_nights

    with lock_nights(results):
        result, night = judge_night(results, fixed=fixed, require_baseline=require_baseline, accept=accept)
        page = comparison_output.write_night(result, night, results)
        finish_night(results)
    comparison_output.show(result)
    out(f"history: {page}")
    raise typer.Exit(0 if night.passed else 1)

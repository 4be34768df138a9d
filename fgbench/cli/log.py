"""`fgbench log`."""

import sys
from typing import Annotated

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, Results, existing


def log(
    run: Annotated[
        str, typer.Argument(metavar="RUN", autocompletion=completion.runs, help="Id of a run, or its beginning.")
    ],
    results: Results = RESULTS,
) -> None:
    """Print the log of a run, also of one that failed."""
    from fgbench.cli.found_runs import find_run
    from fgbench.cli.next_steps import next_command
    from fgbench.records.run_log import read_log
    from fgbench.util.errors import FgbenchError
    from fgbench.util.plain_text import plain

    run_id = find_run(existing(results), run)
    text = read_log(results, run_id)
    if not text:
        raise FgbenchError(
            f"run {run_id} has no log: it was executed elsewhere, or its log was deleted",
            next_command("show", run_id, results=results),
        )
    sys.stdout.write("\n".join(plain(line) for line in text.splitlines()) + "\n")

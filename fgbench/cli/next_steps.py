"""The commands that lead further, printed so that they can be pasted."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from fgbench.cli.options import RESULTS


def next_command(verb: str, *words: str, results: Path = RESULTS) -> str:
    """Return a command of fgbench, with `--results` if the folder is not the default one."""
    folder = () if results == RESULTS else ("--results", str(results))
    return shlex.join(["fgbench", *verb.split(), *words, *folder])


def next_after_runs(run_ids: Sequence[str], results: Path, *, has_report: bool = False) -> list[str]:
    """Return the commands that show results: the report, unless it is there, and the first run.

    Args:
        run_ids: ids of finished runs.
        results: their results folder.
        has_report: True if the report has been written.
    """
    report = [] if has_report or not run_ids else [next_command("report", results=results)]
    return report + [next_command("show", run_id, results=results) for run_id in run_ids[:1]]


def print_next(commands: Sequence[str]) -> None:
    """Print the commands that lead further, one a line."""
    from fgbench.cli.console import out

    for command in commands:
        out(f"next: {command}")

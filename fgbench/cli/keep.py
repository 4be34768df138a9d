"""`fgbench keep`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, Results, existing


def keep(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="Results folder for the copies; it may be new.")],
    results: Results = RESULTS,
) -> None:
    """Copy records for publication, with the highest scores alone.

    Of each image, the five highest scores are kept. The copies are small enough for a repository. Values are
    computed again from what is kept. Records that the folder has already stay. Absolute
    paths in the commands are reduced to their last part.
    """
    from fgbench.cli.console import out
    from fgbench.cli.next_steps import next_command
    from fgbench.records.kept_scores import keep as keep_records
    from fgbench.records.store import store_of
    from fgbench.util.counted import counted
    from fgbench.util.errors import FgbenchError

    source = store_of(existing(results))
    if not source.run_ids():
        raise FgbenchError(f"no records in {source.folder}", next_command("reproduce", "cub", results=results))
    copied = keep_records(source, store_of(target))
    for run_id in copied:
        out(run_id)
    out(f"{counted(len(copied), 'record')} copied to {target}, {len(source.run_ids()) - len(copied)} already there")

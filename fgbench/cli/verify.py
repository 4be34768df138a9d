"""`fgbench verify`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import RESULTS, existing, expanded
from fgbench.util.errors import FgbenchError


def verify(
    results: Annotated[
        Path, typer.Argument(callback=expanded, help="Results folder, or a folder of results folders.")
    ] = RESULTS,
) -> None:
    """Check seals and hashes, and recompute every value from its per-sample outputs; exit code 1 if one differs."""
    from fgbench.records.store import results_folders

    verified = [verify_folder(folder) for folder in results_folders(existing(results))]
    raise typer.Exit(0 if all(verified) else 1)


def verify_folder(folder: Path) -> bool:
    """Verify every record of a results folder and print the problems; return True if there are none.

    Raises:
        FgbenchError: there is no record.
    """
    from fgbench.cli.console import out, print_anomalies
    from fgbench.judge.anomalies import find_anomalies
    from fgbench.records.store import store_of
    from fgbench.util.counted import counted
    from fgbench.util.plain_text import one_line

    store = store_of(folder)
    records, left_out = store.usable_records(values=False)
    if not records and not left_out:
        raise FgbenchError(f"no records in {store.folder}", "fgbench reproduce cub")
    for text in left_out:
        out(text)
    wrong_records = 0
    for record in records:
        problems = store.verify(record)
        wrong_records += bool(problems)
        for problem in problems:
            out(one_line(f"{record.run_id} ({record.title}, seed {record.seed}): {problem}"))
    anomalies = find_anomalies(records, store.outputs)
    print_anomalies(records, anomalies)
    for name in store.without_record():
        out(f"{name} has no record: its run was interrupted, or its record was deleted")
    if unsealed := sum(not record.sealed for record in records):
        out(f"{counted(unsealed, 'record')} without a seal, in which only edits of values are found")
    out(
        f"{folder}: {len(records) - wrong_records} of {counted(len(records) + len(left_out), 'record')} verified: "
        "values recomputed from their per-sample outputs"
    )
    invalid = any(anomaly.invalidates_run for run_anomalies in anomalies.values() for anomaly in run_anomalies)
    return not (left_out or wrong_records or invalid)
